# A job queue: producers LPUSH ids, workers BRPOP them, and what becomes of a job is a key and a message for whoever watches.

require "json"
require "securerandom"

STATUS_SECONDS = 3600
LONG_WAIT_SECONDS = 4

def numbered(count)
  Array.new(count) { |number| "job #{number}" }
end

# Waits until the server says that the connection of this name waits in a blocking command of the thread given.
def until_waiting(watcher, name, waiting)
  eventually("#{name} waits") do
    raise "#{name} did not wait: #{waiting.value}" unless waiting.alive?
    watcher.call("CLIENT", "LIST").lines.any? { |line| line.include?(" name=#{name} ") && line.match?(/ flags=[A-Za-z]*b/) }
  end
end

# A client whose connection has a name that no other run uses.
def named(tools)
  name = "worker-#{SecureRandom.hex(8)}"
  worker = tools.connect
  worker.call("CLIENT", "SETNAME", name)
  [worker, name]
end

# Takes jobs until the one that says stop; a worker keeps on when its connection breaks.
def work(worker, queue)
  done = []
  loop do
    _, job = worker.brpop(queue, timeout: LONG_WAIT_SECONDS)
    return done if job == "stop"
    done << job if job
  rescue Redis::BaseConnectionError
    sleep 0.025
  end
end

scenario "queue: jobs come out in the order they went in" do |tools|
  producer, worker, queue = tools.connect, tools.connect, tools.key("job_queue")
  check 1, producer.lpush(queue, "job 1")
  check 4, producer.lpush(queue, ["job 2", "job 3", "job 4"])
  check 4, producer.llen(queue)
  check ["job 4", "job 3", "job 2", "job 1"], producer.lrange(queue, 0, -1)
  check "job 1", worker.rpop(queue)
  check ["job 2", "job 3", "job 4"], worker.rpop(queue, 10)
  check nil, worker.rpop(queue, 10)
  check nil, worker.rpop(queue)
  check 0, producer.llen(queue)
end

scenario "queue: what is pushed in front is next, and cleared is cleared" do |tools|
  client, queue = tools.connect, tools.key("job_queue")
  client.lpush(queue, numbered(5))
  check 6, client.rpush(queue, "again")
  check "again", client.rpop(queue)
  check "job 4", client.lpop(queue)
  check 1, client.del(queue)
  check [], client.lrange(queue, 0, -1)
  client.set(queue, "no list")
  check(/\AWRONGTYPE/, refusal { client.lpush(queue, "job") })
end

scenario "queue: a job is kept until it is done" do |tools|
  producer, first, second = tools.connect, tools.connect, tools.connect
  waiting, in_work = tools.key("jobs:waiting"), tools.key("jobs:in_work")
  producer.lpush(waiting, ["job 1", "job 2"])
  check "job 1", first.lmove(waiting, in_work, "RIGHT", "LEFT")
  check "job 2", first.rpoplpush(waiting, in_work)
  check nil, first.rpoplpush(waiting, in_work)
  check ["job 2", "job 1"], producer.lrange(in_work, 0, -1)
  check 1, first.lrem(in_work, 1, "job 1")
  check 0, first.lrem(in_work, 1, "job 1")
  # The first worker ends with a job unfinished, and the second puts it back where it is next.
  first.close
  check "job 2", second.lmove(in_work, waiting, "LEFT", "RIGHT")
  check "job 2", second.rpop(waiting)
  check 0, producer.llen(in_work)
end

scenario "queue: a status is kept for who asks and sent to who watches" do |tools|
  worker, asker = tools.connect, tools.connect
  channel, status_key = tools.key("job_updates"), tools.key("job:status")
  seen = listen(tools.connect, channel)
  updates = %w[RUNNING COMPLETED].map { |status| JSON.generate(tenantId: "tenant 1", jobId: "job 1", status: status) }
  updates.each do |update|
    worker.set(status_key, update, ex: STATUS_SECONDS)
    check 1, worker.publish(channel, update)
  end
  check updates.map { |update| [channel, update] }, [seen.pop, seen.pop]
  check updates.last, asker.get(status_key)
  check STATUS_SECONDS, asker.ttl(status_key)
end

scenario "queue: updates go on after a restart of the server" do |tools|
  tools.need_own_server
  channel = tools.key("job_updates")
  seen = listen_again_and_again(tools.connect, channel)
  tools.server("kill")
  tools.server("start")
  worker = tools.connect
  eventually("somebody watches again") { worker.publish(channel, "COMPLETED") == 1 }
  check [channel, "COMPLETED"], seen.pop
end

scenario "queue: a waiting worker gets the job that comes" do |tools|
  producer, queue = tools.connect, tools.key("job_queue")
  worker, name = named(tools)
  popped = Thread.new { worker.brpop(queue, timeout: LONG_WAIT_SECONDS) }
  until_waiting(producer, name, popped)
  check 2, producer.lpush(queue, ["job 1", "job 2"])
  check [queue, "job 1"], popped.value
  check [queue, "job 2"], worker.blpop(queue, timeout: LONG_WAIT_SECONDS)
  check 0, producer.llen(queue)
end

scenario "queue: waiting ends after a fraction of a second" do |tools|
  worker, queue = tools.connect, tools.key("job_queue")
  started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  check nil, worker.brpop(queue, timeout: 0.2)
  check 0.18..1.5, Process.clock_gettime(Process::CLOCK_MONOTONIC) - started
  check nil, worker.blmove(queue, queue, "RIGHT", "LEFT", timeout: 0.05)
  worker.lpush(queue, "job")
  check [queue, "job"], worker.blpop(queue, timeout: 0.2)
end

scenario "queue: urgent jobs come first" do |tools|
  producer = tools.connect
  worker, name = named(tools)
  queues = %w[high normal low].map { |priority| tools.key("jobs:#{priority}") }
  high, normal, low = queues
  producer.lpush(low, "low")
  producer.lpush(high, ["high 1", "high 2"])
  [[high, "high 1"], [high, "high 2"], [low, "low"]].each do |expected|
    check expected, worker.brpop(*queues, timeout: LONG_WAIT_SECONDS)
  end
  popped = Thread.new { worker.brpop(*queues, timeout: LONG_WAIT_SECONDS) }
  until_waiting(producer, name, popped)
  producer.rpush(normal, "normal")
  check [normal, "normal"], popped.value
end

scenario "queue: who waits longest is served first" do |tools|
  producer, queue = tools.connect, tools.key("job_queue")
  waiting = Array.new(3) do
    worker, name = named(tools)
    popped = Thread.new { worker.brpop(queue, timeout: LONG_WAIT_SECONDS) }
    until_waiting(producer, name, popped)
    popped
  end
  numbered(3).each { |job| producer.lpush(queue, job) }
  check(numbered(3), waiting.map { |popped| popped.value.last })
end

scenario "queue: eight workers do every job once" do |tools|
  producers, queue = [tools.connect, tools.connect], tools.key("job_queue")
  workers = Array.new(8) { tools.connect }
  working = workers.map { |worker| Thread.new { work(worker, queue) } }
  numbered(200).each_with_index { |job, number| producers[number % 2].lpush(queue, job) }
  producers.first.lpush(queue, ["stop"] * working.size)
  check numbered(200).sort, working.flat_map(&:value).sort
  check 0, producers.first.llen(queue)
end

scenario "queue: a job on its way to a waiting worker is never nowhere" do |tools|
  producer = tools.connect
  worker, name = named(tools)
  waiting, in_work = tools.key("jobs:waiting"), tools.key("jobs:in_work")
  moved = Thread.new { worker.blmove(waiting, in_work, "RIGHT", "LEFT", timeout: LONG_WAIT_SECONDS) }
  until_waiting(producer, name, moved)
  producer.lpush(waiting, "job")
  check "job", moved.value
  check ["job"], producer.lrange(in_work, 0, -1)
  check 0, producer.llen(waiting)
end

scenario "queue: a worker that left while it waited takes nothing" do |tools|
  producer, queue = tools.connect, tools.key("job_queue")
  worker, name = named(tools)
  waiting = Thread.new { worker.brpop(queue, timeout: LONG_WAIT_SECONDS) }
  until_waiting(producer, name, waiting)
  waiting.kill.join
  worker.close
  eventually("it is gone") { !producer.call("CLIENT", "LIST").include?(" name=#{name} ") }
  check 1, producer.lpush(queue, "job")
  check 1, producer.llen(queue)
  check [queue, "job"], tools.connect.brpop(queue, timeout: LONG_WAIT_SECONDS)
end

scenario "queue: a waiting worker is called back" do |tools|
  boss, queue = tools.connect, tools.key("job_queue")
  worker, name = named(tools)
  id = worker.call("CLIENT", "ID")
  check 0, boss.call("CLIENT", "UNBLOCK", id)
  popped = Thread.new { worker.brpop(queue, timeout: LONG_WAIT_SECONDS) }
  until_waiting(boss, name, popped)
  check 1, boss.call("CLIENT", "UNBLOCK", id)
  check nil, popped.value
  refused = Thread.new { refusal { worker.brpop(queue, timeout: LONG_WAIT_SECONDS) } }
  until_waiting(boss, name, refused)
  check 1, boss.call("CLIENT", "UNBLOCK", id, "ERROR")
  check(/\AUNBLOCKED client unblocked via CLIENT UNBLOCK/, refused.value)
  check "PONG", worker.ping
end

scenario "queue: a waiting worker outlives a restart of the server" do |tools|
  tools.need_own_server
  watcher, queue = tools.connect, tools.key("job_queue")
  worker, name = named(tools)
  working = Thread.new { work(worker, queue) }
  until_waiting(watcher, name, working)
  tools.server("kill")
  tools.server("start")
  tools.connect.lpush(queue, ["after the restart", "stop"])
  check ["after the restart"], working.value
end
