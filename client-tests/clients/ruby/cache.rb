# The caches of a chat backend: values with a time to live, counters that are forgotten, sets of who is online.

require "json"

SESSION_SECONDS = 3600

# Reads through the cache: what is not there is made, and kept for its time.
def get_or_set(client, key)
  cached = client.get(key)
  return JSON.parse(cached) if cached
  yield.tap { |made| client.set(key, JSON.generate(made), ex: SESSION_SECONDS) }
end

# The time to live begins with the first attempt.
def attempts_of(client, key, seconds)
  attempts = client.incr(key)
  client.expire(key, seconds) if attempts == 1
  attempts
end

scenario "cache: what was read once is not made again" do |tools|
  first, second, session = tools.connect, tools.connect, tools.key("session:token")
  number = 0
  make = -> { { "user" => "Zoë", "number" => number += 1 } }
  check({ "user" => "Zoë", "number" => 1 }, get_or_set(first, session, &make))
  check({ "user" => "Zoë", "number" => 1 }, get_or_set(second, session, &make))
  check SESSION_SECONDS, second.ttl(session)
  check 1, first.del(session)
  check({ "user" => "Zoë", "number" => 2 }, get_or_set(second, session, &make))
end

scenario "cache: many at once, in the order asked for" do |tools|
  client = tools.connect
  one, missing, three = %w[one missing three].map { |name| tools.key("chat:list:#{name}") }
  client.set(one, "1", ex: 600)
  client.set(three, "", ex: 600)
  check ["", nil, "1", "1"], client.mget(three, missing, one, one)
  check 2, client.del(one, missing, three)
  check [nil, nil], client.mget(one, three)
end

scenario "cache: all sessions of a user are found and deleted" do |tools|
  client, prefix = tools.connect, tools.key("session:user[1]")
  keys = Array.new(300) { |number| tools.key("#{prefix}:#{number}") }.sort
  kept = tools.key("session:user")
  client.mset(*[*keys, kept].flat_map { |key| [key, "v"] })
  pattern = "#{prefix.gsub(/[\[\]]/) { |bracket| "\\#{bracket}" }}:*"
  check keys, client.keys(pattern).sort
  check keys, client.scan_each(match: pattern, count: 50).to_a.uniq.sort
  check keys.size, client.del(*client.scan_each(match: pattern))
  check [], client.keys(pattern)
  check "v", client.get(kept)
end

scenario "cache: attempts are counted and forgotten" do |tools|
  client, limit = tools.connect, tools.key("ratelimit:login")
  check([1, 2, 3], Array.new(3) { attempts_of(client, limit, 1) })
  check 0..1000, client.pttl(limit)
  eventually("they are forgotten") { client.get(limit).nil? }
  check 1, attempts_of(client, limit, 900)
  check 900, client.ttl(limit)
end

scenario "cache: kept for good, or for moments" do |tools|
  client, status, typing = tools.connect, tools.key("user:status"), tools.key("typing:chat:user")
  client.set(status, "online", ex: 300)
  check "OK", client.set(status, "away")
  check(-1, client.ttl(status))
  client.set(typing, "true", ex: 5)
  check 5, client.ttl(typing)
  client.set(typing, "true", px: 50)
  eventually("nobody types") { client.get(typing).nil? }
  check "away", client.get(status)
end

scenario "cache: who is online is a set" do |tools|
  first, second, online = tools.connect, tools.connect, tools.key("user:online")
  check [], first.smembers(online)
  check 2, first.sadd(online, %w[ann bob ann])
  check 1, second.sadd(online, %w[bob cem])
  check 3, second.scard(online)
  check true, first.sismember(online, "cem")
  check 1, first.srem(online, %w[cem nobody])
  check false, second.sismember(online, "cem")
  check %w[ann bob], second.smembers(online).sort
  check 2, first.srem(online, %w[ann bob])
  check(-2, second.ttl(online))
  first.set(online, "no set")
  check(/\AWRONGTYPE/, refusal { first.sadd(online, %w[ann]) })
end
