# The channels of a chat backend: several nodes subscribe, any of them publishes, and each sees all messages in their order.

require "json"

LARGE_BYTES = 3 << 20

# Subscribes in a thread of its own, and returns the queue of [channel, message] once the server has confirmed.
# The message "leave" unsubscribes; the queue is closed when no channel is left.
def listen(client, *channels)
  seen, confirmed = Queue.new, Queue.new
  thread = Thread.new do
    subscribe(client, channels, seen, confirmed)
    seen.close
  end
  thread.report_on_exception = false
  channels.each { confirmed.pop }
  seen
end

# As a service does that has to outlive its server: the library itself does not subscribe again.
def listen_again_and_again(client, *channels)
  seen, confirmed = Queue.new, Queue.new
  thread = Thread.new do
    subscribe(client, channels, seen, confirmed)
  rescue Redis::BaseConnectionError
    sleep 0.025
    retry
  end
  thread.report_on_exception = false
  channels.each { confirmed.pop }
  seen
end

def subscribe(client, channels, seen, confirmed)
  client.subscribe(*channels) do |on|
    on.subscribe { |channel, _| confirmed << channel }
    on.message { |channel, message| message == "leave" ? client.unsubscribe(channel) : seen << [channel, message] }
  end
end

scenario "channels: a message reaches every node" do |tools|
  publisher, channel = tools.connect, tools.key("message:new")
  check 0, publisher.publish(channel, "nobody listens")
  nodes = Array.new(5) { listen(tools.connect, channel) }
  message = JSON.generate(messageId: "m1", content: "Grüße, 世界 👋")
  check 5, publisher.publish(channel, message)
  nodes.each { |seen| check [channel, message], seen.pop }
end

scenario "channels: messages keep their order" do |tools|
  publisher, names = tools.connect, [tools.key("typing:start"), tools.key("typing:stop")]
  seen = listen(tools.connect, *names)
  sent = Array.new(1000) { |number| [names[number % 2], number.to_s] }
  counts = publisher.pipelined { |pipeline| sent.each { |channel, message| pipeline.publish(channel, message) } }
  check [1] * 1000, counts
  check(sent, Array.new(1000) { seen.pop })
end

scenario "channels: any bytes arrive as they were sent, many or none" do |tools|
  publisher, channel = tools.connect, tools.key("message:binary")
  seen = listen(tools.connect, channel)
  every = (0..255).to_a.pack("C*")
  sent = [every, "\r\n$-1\r\n", "", every * (LARGE_BYTES / 256)].map(&:b)
  sent.each { |message| publisher.publish(channel, message) }
  sent.each { |message| check true, seen.pop.last.b == message }
end

scenario "channels: nothing comes after unsubscribing" do |tools|
  node, publisher = tools.connect, tools.connect
  edited, deleted = tools.key("message:edit"), tools.key("message:delete")
  seen = listen(node, edited, deleted)
  publisher.publish(edited, "leave")
  eventually("one is left") { publisher.pubsub("numsub", edited) == [edited, 0] }
  check 0, publisher.publish(edited, "unseen")
  check 1, publisher.publish(deleted, "seen")
  check [deleted, "seen"], seen.pop
  publisher.publish(deleted, "leave")
  check nil, seen.pop
  check 0, publisher.publish(deleted, "unseen")
  check nil, node.get(deleted)
end

scenario "channels: a pattern brings messages of many channels" do |tools|
  node, publisher, prefix = tools.connect, tools.connect, tools.key("message")
  seen, confirmed = Queue.new, Queue.new
  thread = Thread.new do
    node.psubscribe("#{prefix}:*", "#{prefix}:ne[vw]") do |on|
      on.psubscribe { |pattern, _| confirmed << pattern }
      on.pmessage { |pattern, channel, message| seen << [pattern, channel, message] }
    end
  end
  thread.report_on_exception = false
  2.times { confirmed.pop }
  check 1, publisher.publish("#{prefix}:edit", "one")
  check 2, publisher.publish("#{prefix}:new", "two")
  check 0, publisher.publish(prefix, "none")
  check ["#{prefix}:*", "#{prefix}:edit", "one"], seen.pop
  check(["#{prefix}:*", "#{prefix}:ne[vw]"].map { |pattern| [pattern, "#{prefix}:new", "two"] }, [seen.pop, seen.pop].sort)
  check true, publisher.pubsub("numpat") >= 2
end

scenario "channels: the same for all databases" do |tools|
  channel = tools.key("user:status")
  seen = listen(tools.connect, channel)
  check 1, tools.connect(db: OTHER_DB).publish(channel, "online")
  check [channel, "online"], seen.pop
end

scenario "channels: who listens can be asked" do |tools|
  asker = tools.connect
  both, one, none = %w[both one none].map { |name| tools.key("ask:#{name}") }
  listen(tools.connect, both, one)
  listen(tools.connect, both)
  check [one], asker.pubsub("channels", "#{one}*")
  check [both, one].sort, (asker.pubsub("channels") & [both, one, none]).sort
  check [both, 2, one, 1, none, 0], asker.pubsub("numsub", both, one, none)
end
