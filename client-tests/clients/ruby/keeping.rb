# Servers that keep their data: what a service finds again after its server was stopped, updated, or crashed. And servers whose
# memory is limited. Clients connect once, and find back by themselves.

JOURNAL = "--appendonly yes --appendfsync everysec --save 60 1000"
SNAPSHOTS = "--save 3600 1000000"
LEAST_RECENTLY_USED = "#{JOURNAL} --maxmemory 16mb --maxmemory-policy allkeys-lru"

# A crash may cost what is younger, and the file's sync takes its time as well.
SYNCED_SECONDS = 1.5
# By how much idle times may be wrong.
LRU_CLOCK_SECONDS = 1

HOUR_SECONDS = 3600
SESSION = "x" * 4_000

def named_by_number(count, word)
  Array.new(count) { |number| "#{word} #{number}" }
end

# A restart, with clients that were connected before it.
def restart(server, verb, *clients)
  server.control(verb)
  server.control("start")
  clients.each { |client| eventually("it is back") { back?(client) } }
end

def back?(client)
  client.ping == "PONG"
rescue Redis::BaseConnectionError
  false
end

def set_all(client, keys)
  client.pipelined { |pipeline| keys.each { |key| pipeline.set(key, SESSION, ex: HOUR_SECONDS) } }
end

def count_of(client, keys)
  client.mget(*keys).compact.size
end

# Pushes jobs one after the other; when each was in the queue.
def push_until_refused(producer, queue)
  pushed = []
  loop do
    producer.rpush(queue, "job #{pushed.size}")
    pushed << Process.clock_gettime(Process::CLOCK_MONOTONIC)
  rescue Redis::BaseConnectionError
    return pushed
  end
end

scenario "queue kept: jobs and what became of them, when the server is stopped" do |tools|
  server = tools.keeping_server(JOURNAL)
  producer, worker = tools.connect(port: server.port), tools.connect(port: server.port)
  producer.lpush("jobs:waiting", numbered(10))
  check "job 0", worker.rpop("jobs:waiting")
  check "job 1", worker.lmove("jobs:waiting", "jobs:in_work", "RIGHT", "LEFT")
  worker.set("job:0", "COMPLETED", ex: HOUR_SECONDS)
  restart(server, "stop", producer, worker)
  check numbered(10).drop(2).reverse, producer.lrange("jobs:waiting", 0, -1)
  check ["job 1"], producer.lrange("jobs:in_work", 0, -1)
  check "COMPLETED", producer.get("job:0")
  check 9, producer.lpush("jobs:waiting", "job 10")
  check "job 2", worker.rpop("jobs:waiting")
end

scenario "queue kept: a worker that waits gets the jobs that a crash has left" do |tools|
  server = tools.keeping_server(JOURNAL)
  producer, worker = tools.connect(port: server.port), tools.connect(port: server.port)
  producer.lpush("jobs:later", numbered(20))
  sleep SYNCED_SECONDS
  working = Thread.new { work(worker, "jobs:now") }
  restart(server, "kill", producer)
  20.times { producer.rpoplpush("jobs:later", "jobs:now") }
  producer.lpush("jobs:now", "stop")
  check numbered(20), working.value
end

scenario "queue kept: a crash costs the last second at most" do |tools|
  server = tools.keeping_server(JOURNAL)
  producer, reader = tools.connect(port: server.port), tools.connect(port: server.port)
  pushing = Thread.new { push_until_refused(producer, "jobs") }
  sleep SYNCED_SECONDS + 0.5
  crashed = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  server.control("kill")
  pushed = pushing.value
  restart(server, "start", reader)
  kept = reader.lrange("jobs", 0, -1)
  check numbered(kept.size), kept
  synced = pushed.count { |moment| moment < crashed - SYNCED_SECONDS }
  check true, synced.positive?
  check synced.., kept.size
end

scenario "queue kept: who watches hears of jobs again after a restart" do |tools|
  server = tools.keeping_server(JOURNAL)
  worker, seen = tools.connect(port: server.port), listen_again_and_again(tools.connect(port: server.port), "job_updates")
  worker.lpush("jobs", "job 1")
  restart(server, "stop", worker)
  eventually("somebody watches again") { worker.publish("job_updates", "restarted") == 1 }
  check "job 1", worker.rpop("jobs")
  check %w[job_updates restarted], seen.pop
end

scenario "chat kept: sessions, counters, who is online and locks, for their time" do |tools|
  server = tools.keeping_server(JOURNAL)
  client = tools.connect(port: server.port)
  client.set("session:ann", '{"user":"Zoë"}', ex: HOUR_SECONDS)
  client.set("typing:ann", "1", px: 100)
  check true, client.set("lock:import", "holder 1", ex: 30, nx: true)
  client.set("user:status", "away")
  3.times { client.incr("chat:unread") }
  client.expire("chat:unread", 900)
  client.sadd("user:online", %w[ann bob cem])
  client.srem("user:online", "bob")
  server.control("stop")
  sleep 1.1
  restart(server, "start", client)
  check ['{"user":"Zoë"}', nil, "away"], client.mget("session:ann", "typing:ann", "user:status")
  check HOUR_SECONDS - 15...HOUR_SECONDS, client.ttl("session:ann")
  check(-1, client.ttl("user:status"))
  check false, client.set("lock:import", "holder 2", ex: 30, nx: true)
  check "holder 1", client.get("lock:import")
  check 4, client.incr("chat:unread")
  check 1..900, client.ttl("chat:unread")
  check %w[ann cem], client.smembers("user:online").sort
end

scenario "chat kept: messages, and who still has which to handle" do |tools|
  server, stream = tools.keeping_server(JOURNAL), "message-delivery-stream"
  client = tools.connect(port: server.port)
  open_group(client, stream)
  ids = add_messages(client, stream, 6)
  check ids.first(3), read_group(client, stream, "ann", count: 3).map(&:first)
  check [ids[3]], read_group(client, stream, "bob", count: 1).map(&:first)
  check 1, client.xack(stream, GROUP, ids[1])
  check 1, client.xdel(stream, ids[5])
  pending = { "size" => 3, "min_entry_id" => ids[0], "max_entry_id" => ids[3], "consumers" => { "ann" => "2", "bob" => "1" } }
  { "stop" => 0, "kill" => SYNCED_SECONDS }.each do |verb, seconds|
    sleep seconds
    restart(server, verb, client)
    check pending, client.xpending(stream, GROUP)
  end
  check [[ids[0], message_of(0)], [ids[2], message_of(2)]], read_group(client, stream, "ann", "0")
  check [ids[4]], read_group(client, stream, "ann").map(&:first)
  check(/equal or smaller than the target stream top item/, refusal { client.xadd(stream, message_of(6), id: ids[5]) })
end

scenario "chat kept: messages that came while the journal was rewritten" do |tools|
  server = tools.keeping_server(JOURNAL)
  client, node = tools.connect(port: server.port), tools.connect(port: server.port)
  set_all(client, named_by_number(500, "session"))
  adding = Thread.new { add_messages(node, "messages", 300) }
  client.bgrewriteaof
  ids = adding.value
  eventually("it is rewritten") { client.info("persistence")["aof_rewrite_in_progress"] == "0" }
  check "ok", client.info("persistence")["aof_last_bgrewrite_status"]
  restart(server, "stop", client)
  check ids, client.xrange("messages").map(&:first)
  check 500, count_of(client, named_by_number(500, "session"))
end

scenario "chat kept: a snapshot without a journal" do |tools|
  server = tools.keeping_server(SNAPSHOTS)
  client = tools.connect(port: server.port)
  client.set("before", "1")
  ids = add_messages(client, "messages", 1)
  check(/\ABackground saving started/, client.bgsave)
  eventually("it is saved") { client.info("persistence")["rdb_bgsave_in_progress"] == "0" }
  client.set("after", "1")
  check "1", client.info("persistence")["rdb_changes_since_last_save"]
  restart(server, "kill", client)
  check ["1", nil], client.mget("before", "after")
  check ids, client.xrange("messages").map(&:first)
  client.set("after", "2")
  restart(server, "stop", client)
  check %w[1 2], client.mget("before", "after")
end

scenario "full memory: what was not used for longest makes room" do |tools|
  server = tools.keeping_server(LEAST_RECENTLY_USED)
  client = tools.connect(port: server.port)
  old, used = named_by_number(1400, "session:old"), named_by_number(100, "session:used")
  set_all(client, old + used)
  sleep 2 * LRU_CLOCK_SECONDS + 0.1
  check 100, count_of(client, used)
  set_all(client, named_by_number(2900, "session:new"))
  check 200.., client.info("stats")["evicted_keys"].to_i
  memory = client.info("memory")
  check 0..memory["maxmemory"].to_i * 1.02, memory["used_memory"].to_i
  check 95.., count_of(client, used)
  kept_old = count_of(client, old)
  restart(server, "stop", client)
  check 0..kept_old, count_of(client, old)
  check 90.., count_of(client, used)
end

scenario "full memory: without eviction writes are refused, and reads go on" do |tools|
  server = tools.keeping_server(JOURNAL)
  client = tools.connect(port: server.port)
  client.set("first", "here")
  client.config("SET", "maxmemory", client.info("memory")["used_memory"].to_i + 1_000_000)
  refused = refusal { set_all(client, named_by_number(1000, "session")) }
  check(/OOM command not allowed when used memory > 'maxmemory'/, refused)
  check "here", client.get("first")
  kept = client.keys("session*")
  check kept.size, client.del(*kept)
  check 1, client.lpush("jobs", "job")
end
