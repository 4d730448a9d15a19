# Messages whose worker crashed or failed: claimed after some time, given up after some deliveries; and how old ones go.

require_relative "delivery"

IDLE_MS = 60
MOST_DELIVERIES = 3
FIRST_PAGE = "0-0"

# A stream whose messages one worker has read and not acknowledged.
def abandoned(tools, count)
  client, stream = tools.connect, tools.key("message-delivery-stream")
  open_group(client, stream)
  ids = add_messages(client, stream, count)
  read_group(client, stream, "crashed", count: count)
  [client, stream, ids]
end

# Messages that were delivered too often go to another stream, in one transaction with their acknowledgement.
def give_up(client, stream, dead_letters)
  hopeless = client.xpending(stream, GROUP, "-", "+", 100).select { |one| one["count"] >= MOST_DELIVERIES }
  hopeless.map do |one|
    id = one["entry_id"]
    (_, message), = client.xrange(stream, id, id)
    letter = message.merge("origin" => id, "deliveries" => one["count"])
    replies = client.multi { |chain| chain.xadd(dead_letters, letter) && chain.xack(stream, GROUP, id) }
    check 1, replies.last
    id
  end
end

scenario "retry: what a crashed worker left is claimed after some time" do |tools|
  client, stream, ids = abandoned(tools, 5)
  check 2, client.xack(stream, GROUP, ids[0], ids[3])
  second = tools.connect
  check [], second.xautoclaim(stream, GROUP, "second", 60_000, FIRST_PAGE)["entries"]
  sleep IDLE_MS / 1000.0
  left = [1, 2, 4].map { |number| [ids[number], message_of(number)] }
  check({ "next" => FIRST_PAGE, "entries" => left }, second.xautoclaim(stream, GROUP, "second", IDLE_MS, FIRST_PAGE))
  pending = client.xpending(stream, GROUP, "-", "+", 10)
  check(left.map { |id, _| [id, "second", 2] }, pending.map { |one| one.values_at("entry_id", "consumer", "count") })
  check 3, second.xack(stream, GROUP, left.map(&:first))
end

scenario "retry: many are claimed page by page" do |tools|
  client, stream, ids = abandoned(tools, 25)
  pages, after = [], FIRST_PAGE
  loop do
    claimed = client.xautoclaim(stream, GROUP, "second", 0, after, count: 10)
    pages << claimed["entries"].map(&:first)
    break if (after = claimed["next"]) == FIRST_PAGE
  end
  check [10, 10, 5], pages.map(&:size)
  check ids, pages.flatten
end

scenario "retry: what fails three times becomes a dead letter" do |tools|
  client, stream, ids = abandoned(tools, 4)
  dead_letters, poison = tools.key("message-delivery-dead"), ids[2]
  (2..MOST_DELIVERIES).each do
    check [], give_up(client, stream, dead_letters)
    claimed = client.xautoclaim(stream, GROUP, "second", 0, FIRST_PAGE)["entries"].map(&:first)
    (claimed - [poison]).each { |id| client.xack(stream, GROUP, id) }
  end
  check [poison], give_up(client, stream, dead_letters)
  (_, letter), = client.xrange(dead_letters)
  check message_of(2).merge("origin" => poison, "deliveries" => "3"), letter
  check 0, client.xpending(stream, GROUP)["size"]
end

scenario "retry: claimed by id, with a count of its own or with none" do |tools|
  client, stream, ids = abandoned(tools, 2)
  deliveries = -> { client.xpending(stream, GROUP, "-", "+", 10).map { |one| one["count"] } }
  check ids, client.xautoclaim(stream, GROUP, "second", 0, FIRST_PAGE, justid: true)["entries"]
  check [1, 1], deliveries.call
  check [], client.xclaim(stream, GROUP, "third", 60_000, ids)
  check [[ids[1], message_of(1)]], client.xclaim(stream, GROUP, "third", 0, ids[1])
  client.xclaim(stream, GROUP, "third", 0, ids[0], retrycount: 7)
  check [7, 2], deliveries.call
  check [], client.xpending(stream, GROUP, "-", "+", 10, "nobody")
end

scenario "retry: a message that was deleted is given up" do |tools|
  client, stream, ids = abandoned(tools, 3)
  client.xdel(stream, ids[1])
  check [ids[0], ids[2]], client.xautoclaim(stream, GROUP, "second", 0, FIRST_PAGE)["entries"].map(&:first)
  check 2, client.xpending(stream, GROUP)["size"]
end

scenario "retry: who comes back is told what is no longer there" do |tools|
  client, stream, ids = abandoned(tools, 2)
  check 1, client.xtrim(stream, 1)
  check [[ids[0], nil], [ids[1], message_of(1)]], read_group(client, stream, "crashed", "0")
end

scenario "trimming: about so many stay" do |tools|
  client, stream = tools.connect, tools.key("message-delivery-stream")
  ids = client.pipelined do |pipe|
    1000.times { |number| pipe.xadd(stream, { "number" => number }, maxlen: 100, approximate: true) }
  end
  length = client.xlen(stream)
  check 100..200, length
  check ids.last(length), client.xrange(stream).map(&:first)
end

# The library trims by number alone; by id it is told word by word.
scenario "trimming: exactly so many stay, and what is older goes" do |tools|
  client, stream = tools.connect, tools.key("message-delivery-stream")
  ids = add_messages(client, stream, 20)
  check 12, client.xtrim(stream, 8)
  added = client.xadd(stream, message_of(20), maxlen: 4)
  check [*ids.last(3), added], client.xrange(stream).map(&:first)
  check 3, client.call("XTRIM", stream, "MINID", added)
  check [added], client.xrange(stream).map(&:first)
end
