# The delivery of a chat's messages: a stream that a group of workers reads, each message acknowledged by who has handled it.

GROUP = "delivery"
LONG_WAIT_MS = 4000

def message_of(number)
  { "messageId" => "m#{number}", "chatId" => "c1", "content" => "Grüße #{number} 👋" }
end

# Adds so many messages one after the other, and returns their ids.
def add_messages(client, stream, count)
  Array.new(count) { |number| client.xadd(stream, message_of(number)) }
end

# A group that reads from the first message on; false when somebody else has made it already.
def open_group(client, stream)
  client.xgroup(:create, stream, GROUP, "0", mkstream: true) == "OK"
rescue Redis::CommandError => error
  raise unless error.message.start_with?("BUSYGROUP ")
  false
end

def read_group(worker, stream, consumer, after = ">", **options)
  worker.xreadgroup(GROUP, consumer, stream, after, **options).fetch(stream, [])
end

# The next messages for a worker; where the server has lost the group, there are none and it is made anew.
def next_messages(worker, stream, consumer)
  read_group(worker, stream, consumer, count: 10, block: 200)
rescue Redis::BaseConnectionError
  sleep 0.025
  []
rescue Redis::CommandError => error
  raise unless error.message.start_with?("NOGROUP ")
  open_group(worker, stream)
  []
end

# Handles and acknowledges messages until the block says that all are handled.
def deliver(worker, stream, consumer, handled)
  until yield
    next_messages(worker, stream, consumer).each do |id, message|
      worker.xack(stream, GROUP, id)
      handled << message["messageId"]
    end
  end
end

scenario "delivery: the group is made with its stream, once" do |tools|
  nodes, stream = Array.new(5) { tools.connect }, tools.key("message-delivery-stream")
  check(/\AERR The XGROUP subcommand requires the key to exist/, refusal { nodes.first.xgroup(:create, stream, GROUP, "$") })
  made = nodes.map { |node| Thread.new { open_group(node, stream) } }.map(&:value)
  check 1, made.count(true)
  check "stream", nodes.first.type(stream)
  check 0, nodes.first.xlen(stream)
  check 1, nodes.first.xgroup(:destroy, stream, GROUP)
end

scenario "delivery: messages keep their order and their fields" do |tools|
  client, stream = tools.connect, tools.key("message-delivery-stream")
  messages = [message_of(1), { "content" => "", "a field" => "x" * 100_000 }, message_of(3)]
  ids = messages.map { |message| client.xadd(stream, message) }
  entries = ids.zip(messages)
  check 3, client.xlen(stream)
  check entries, client.xrange(stream)
  check [entries[1]], client.xrange(stream, "(#{ids[0]}", "+", count: 1)
  check [entries[2], entries[1]], client.xrevrange(stream, count: 2)
  check({ stream => entries.drop(1) }, client.xread(stream, ids[0]))
  check({}, client.xread(stream, ids[2]))
  check 1, client.xdel(stream, ids[1], "1-1")
  check({ stream => [entries[0], entries[2]] }, client.xread(stream, "0", count: 5))
  check(/equal or smaller than the target stream top item/, refusal { client.xadd(stream, message_of(4), id: ids[2]) })
  client.set(stream, "no stream")
  check(/\AWRONGTYPE/, refusal { client.xadd(stream, message_of(4)) })
end

scenario "delivery: several streams are read at once" do |tools|
  client, streams = tools.connect, Array.new(3) { |shard| tools.key("message-delivery-#{shard}") }
  ids = streams.first(2).map { |stream| client.xadd(stream, message_of(0)) }
  expected = streams.first(2).zip(ids).to_h { |stream, id| [stream, [[id, message_of(0)]]] }
  check expected, client.xread(streams, %w[0 0 0])
end

scenario "delivery: a waiting worker gets the message that comes" do |tools|
  node, stream = tools.connect, tools.key("message-delivery-stream")
  worker, name = named(tools)
  open_group(node, stream)
  read = Thread.new { read_group(worker, stream, "worker 1", block: LONG_WAIT_MS) }
  until_waiting(node, name, read)
  id, = add_messages(node, stream, 1)
  check [[id, message_of(0)]], read.value
  pending = { "size" => 1, "min_entry_id" => id, "max_entry_id" => id, "consumers" => { "worker 1" => "1" } }
  check pending, node.xpending(stream, GROUP)
  check 1, worker.xack(stream, GROUP, id)
  check 0, worker.xack(stream, GROUP, id)
  check 0, node.xpending(stream, GROUP)["size"]
end

scenario "delivery: waiting ends after its time" do |tools|
  worker, stream = tools.connect, tools.key("message-delivery-stream")
  open_group(worker, stream)
  started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  check [], read_group(worker, stream, "worker", block: 100)
  check 0.09..1.5, Process.clock_gettime(Process::CLOCK_MONOTONIC) - started
end

scenario "delivery: who reads without a group sees every message" do |tools|
  node, stream = tools.connect, tools.key("message-delivery-stream")
  add_messages(node, stream, 1)
  reading = Array.new(3) do
    reader, name = named(tools)
    read = Thread.new { reader.xread(stream, "$", block: LONG_WAIT_MS) }
    until_waiting(node, name, read)
    read
  end
  id = node.xadd(stream, message_of(1))
  check([{ stream => [[id, message_of(1)]] }] * 3, reading.map(&:value))
end

scenario "delivery: three workers handle every message once" do |tools|
  nodes, stream, handled = [tools.connect, tools.connect], tools.key("message-delivery-stream"), Queue.new
  open_group(nodes.first, stream)
  working = %w[ann bob cem].map do |consumer|
    worker = tools.connect
    Thread.new { deliver(worker, stream, consumer, handled) { handled.size >= 200 } }
  end
  200.times { |number| nodes[number % 2].xadd(stream, message_of(number)) }
  working.each(&:value)
  check Array.new(200) { |number| "m#{number}" }.sort, Array.new(handled.size) { handled.pop }.sort
  check 0, nodes.first.xpending(stream, GROUP)["size"]
end

scenario "delivery: who comes back finds what it had not acknowledged" do |tools|
  node, crashing, stream = tools.connect, tools.connect, tools.key("message-delivery-stream")
  open_group(node, stream)
  ids = add_messages(node, stream, 4)
  check ids.first(3), read_group(crashing, stream, "worker", count: 3).map(&:first)
  crashing.xack(stream, GROUP, ids[1])
  crashing.close
  worker = tools.connect
  check [ids[0], ids[2]], read_group(worker, stream, "worker", "0").map(&:first)
  check 2, worker.xack(stream, GROUP, ids[0], ids[2])
  check [], read_group(worker, stream, "worker", "0")
  check [[ids[3], message_of(3)]], read_group(worker, stream, "worker")
end

scenario "delivery: without acknowledgement nothing is pending" do |tools|
  worker, stream = tools.connect, tools.key("message-delivery-stream")
  open_group(worker, stream)
  ids = add_messages(worker, stream, 2)
  check ids, read_group(worker, stream, "worker", noack: true).map(&:first)
  check 0, worker.xpending(stream, GROUP)["size"]
end

scenario "delivery: a waiting worker is told that its group is gone" do |tools|
  node, stream = tools.connect, tools.key("message-delivery-stream")
  worker, name = named(tools)
  open_group(node, stream)
  told = Thread.new { refusal { read_group(worker, stream, "worker", block: LONG_WAIT_MS) } }
  until_waiting(node, name, told)
  node.xgroup(:destroy, stream, GROUP)
  check(/\ANOGROUP /, told.value)
end

scenario "delivery: goes on after a restart of the server" do |tools|
  tools.need_own_server
  watcher, stream, handled = tools.connect, tools.key("message-delivery-stream"), Queue.new
  worker, name = named(tools)
  open_group(watcher, stream)
  working = Thread.new { deliver(worker, stream, "worker", handled) { handled.size >= 2 } }
  until_waiting(watcher, name, working)
  tools.server("kill")
  tools.server("start")
  add_messages(tools.connect, stream, 2)
  working.value
  check %w[m0 m1], Array.new(handled.size) { handled.pop }
end

scenario "stream info: what is in a stream, how far its groups are, and who works in them" do |tools|
  client, stream = tools.connect, tools.key("message-delivery-stream")
  check "ERR no such key", refusal { client.xinfo(:stream, stream) }
  open_group(client, stream)
  ids = add_messages(client, stream, 3)
  read_group(client, stream, "ann", count: 2)
  told = client.xinfo(:stream, stream)
  check [3, 1, ids[2], [ids[0], message_of(0).flatten]], told.values_at("length", "groups", "last-generated-id", "first-entry")
  group = { "name" => GROUP, "consumers" => 1, "pending" => 2, "last-delivered-id" => ids[1], "entries-read" => 2, "lag" => 1 }
  check [group], client.xinfo(:groups, stream)
  ann, = client.xinfo(:consumers, stream, GROUP)
  check ["ann", 2], ann.values_at("name", "pending")
  check 0..5000, ann["idle"]
  check 2, client.xgroup(:delconsumer, stream, GROUP, "ann")
end
