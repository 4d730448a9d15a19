# A lock per conversation, as a help desk takes it: redis.set(key, value, nx: true, ex: 30).

LOCK_SECONDS = 30

# Releases only what is still ours: the lock may have expired and be somebody else's by now.
def release(client, key, value)
  client.get(key) == value && client.del(key) == 1
end

scenario "mutex: true for the first, false for the second" do |tools|
  first, second = tools.connect, tools.connect
  lock = tools.key("mutex:facebook:sender:recipient")
  check true, first.set(lock, "first", nx: true, ex: LOCK_SECONDS)
  check false, second.set(lock, "second", nx: true, ex: LOCK_SECONDS)
  check "first", second.get(lock)
end

scenario "mutex: a fresh lock has its whole time to live" do |tools|
  client, lock = tools.connect, tools.key("mutex:ttl")
  client.set(lock, "v", nx: true, ex: LOCK_SECONDS)
  check 30, client.ttl(lock)
  check 29_001..30_000, client.pttl(lock)
end

scenario "mutex: NX before EX means the same" do |tools|
  client, lock = tools.connect, tools.key("mutex:order")
  check "OK", client.call("SET", lock, "v", "NX", "EX", "30")
  check nil, client.call("SET", lock, "w", "NX", "EX", "30")
  check 30, client.ttl(lock)
end

scenario "mutex: released by its owner, kept from a stranger" do |tools|
  client, lock = tools.connect, tools.key("mutex:release")
  client.set(lock, "owner", nx: true, ex: LOCK_SECONDS)
  check false, release(client, lock, "stranger")
  check false, client.set(lock, "early", nx: true, ex: LOCK_SECONDS)
  check true, release(client, lock, "owner")
  check false, release(client, lock, "owner")
  check true, client.set(lock, "next", nx: true, ex: LOCK_SECONDS)
end

scenario "mutex: SETNX, then EXPIRE" do |tools|
  client, lock = tools.connect, tools.key("mutex:setnx")
  check true, client.setnx(lock, "v")
  check(-1, client.ttl(lock))
  check true, client.expire(lock, LOCK_SECONDS)
  check 30, client.ttl(lock)
  check false, client.setnx(lock, "w")
  check 1, client.del(lock)
  check false, client.expire(lock, LOCK_SECONDS)
  check(-2, client.ttl(lock))
end

scenario "mutex: an abandoned lock expires" do |tools|
  client = tools.connect
  in_seconds, in_milliseconds = tools.key("mutex:expiry:ex"), tools.key("mutex:expiry:px")
  check true, client.set(in_seconds, "gone", nx: true, ex: 1)
  check false, client.set(in_seconds, "next", nx: true, ex: 1)
  check true, client.set(in_milliseconds, "gone", nx: true, px: 400)
  check false, client.set(in_milliseconds, "next", nx: true, px: 400)
  sleep 0.45
  check nil, client.get(in_milliseconds)
  check true, client.set(in_milliseconds, "next", nx: true, px: 5000)
  eventually("the lock of one second is free") { client.set(in_seconds, "next", nx: true, ex: 30) }
end

scenario "mutex: a holder that comes too late releases nothing" do |tools|
  slow, quick = tools.connect, tools.connect
  lock = tools.key("mutex:late")
  slow.set(lock, "slow", nx: true, px: 50)
  sleep 0.08
  check true, quick.set(lock, "quick", nx: true, ex: LOCK_SECONDS)
  check false, release(slow, lock, "slow")
  check "quick", slow.get(lock)
end

scenario "mutex: of twenty at once one wins" do |tools|
  lock = tools.key("mutex:burst")
  clients = Array.new(20) { tools.connect }
  asking = clients.each_with_index.map { |client, number| Thread.new { client.set(lock, number, nx: true, ex: LOCK_SECONDS) } }
  answers = asking.map(&:value)
  check [1, 19], [answers.count(true), answers.count(false)]
  check answers.index(true).to_s, clients.first.get(lock)
end

scenario "mutex: never two holders among eight workers" do |tools|
  lock = tools.key("mutex:workers")
  counting = Mutex.new
  holders = most_holders = sections = 0
  hold = lambda do |client, value|
    eventually("the lock is mine") { client.set(lock, value, nx: true, ex: LOCK_SECONDS) }
    counting.synchronize { most_holders = [most_holders, holders += 1].max }
    sleep 0.003
    counting.synchronize { holders -= 1; sections += 1 }
    check true, release(client, lock, value)
  end
  clients = Array.new(8) { tools.connect }
  working = clients.each_with_index.map do |client, number|
    Thread.new { 3.times { |turn| hold.call(client, "worker #{number} turn #{turn}") } }
  end
  working.each(&:join)
  check [1, 24], [most_holders, sections]
end

scenario "mutex: a wrong SET is refused and the connection goes on" do |tools|
  client, lock = tools.connect, tools.key("mutex:wrong")
  {
    %w[EX 0 NX] => "ERR invalid expire time in 'set' command",
    %w[NX XX] => "ERR syntax error",
    %w[EX soon] => "ERR value is not an integer or out of range"
  }.each do |options, error|
    check error, refusal { client.call("SET", lock, "v", *options) }
  end
  check nil, client.get(lock)
  check true, client.set(lock, "v", nx: true, ex: LOCK_SECONDS)
end

def refusal
  "answered #{yield}"
rescue Redis::BaseError => error
  # From version 5 on the library appends the server's address.
  [error.message, error.cause&.message].compact.join(" | ").sub(/ \(redis:.*\)\z/, "")
end
