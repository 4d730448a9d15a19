# Lua on the server: scripts by their text and by their SHA1, functions in libraries; what they give back and how they fail.

require "digest"
require "json"
require "securerandom"

RELEASE = <<~LUA.freeze
  if redis.call('GET', KEYS[1]) == ARGV[1] then
    return redis.call('DEL', KEYS[1])
  end
  return 0
LUA

TAKE = <<~LUA.freeze
  local taken = redis.call('INCR', KEYS[1])
  if taken == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
  if taken > tonumber(ARGV[1]) then return {0, redis.call('PTTL', KEYS[1])} end
  return {1, tonumber(ARGV[1]) - taken}
LUA

UPDATE_STATUS = <<~LUA.freeze
  local job = cjson.decode(redis.call('GET', KEYS[1]) or '{"updates":0}')
  job.status = ARGV[1]
  job.updates = job.updates + 1
  local text = cjson.encode(job)
  redis.call('SET', KEYS[1], text, 'EX', 60)
  return text
LUA

# A script that no other run has brought to the server.
def new_script
  "return '#{SecureRandom.hex(8)}'"
end

def sha1(text)
  Digest::SHA1.hexdigest(text)
end

# As services do: by SHA1, and by the text where the server does not have it.
def run_script(client, script, keys: [], argv: [])
  client.evalsha(sha1(script), keys: keys, argv: argv)
rescue Redis::CommandError => error
  raise unless error.message.start_with?("NOSCRIPT")
  client.eval(script, keys: keys, argv: argv)
end

scenario "script: compares and deletes" do |tools|
  holder, stranger, lock = tools.connect, tools.connect, tools.key("mutex:script")
  holder.set(lock, "holder", ex: 30)
  check 0, stranger.eval(RELEASE, keys: [lock], argv: ["stranger"])
  check 1, holder.eval(RELEASE, [lock], ["holder"])
  check 0, holder.eval(RELEASE, keys: [lock], argv: ["holder"])
  check nil, holder.get(lock)
end

scenario "script: what it gives back" do |tools|
  client = tools.connect
  {
    "return 3.99" => 3,
    "return -1.5" => -1,
    "return 9007199254740992" => 9_007_199_254_740_992,
    "return 'Grüße 👋'" => "Grüße 👋",
    "return true" => 1,
    "return false" => nil,
    "return" => nil,
    "return {}" => [],
    "return {1, 'two', {3, {}}, false, 'five', nil, 'lost'}" => [1, "two", [3, []], nil, "five"],
    "return redis.status_reply('FINE')" => "FINE",
    "return redis.call('PING')" => "PONG",
    "return {double = 1.5}" => "1.5"
  }.each { |script, expected| check expected, client.eval(script) }
  check ["a key", "", "ü"], client.eval("return {KEYS[1], ARGV[1], ARGV[2]}", keys: ["a key"], argv: ["", "ü"])
  every = (0..255).map(&:chr).join.b
  check [every, 256], client.eval("return {ARGV[1], #ARGV[1]}", argv: [every]).then { |bytes, length| [bytes.b, length] }
end

scenario "script: how it fails" do |tools|
  client, text = tools.connect, tools.key("text")
  client.set(text, "no number")
  {
    "return redis.error_reply('MYCODE of mine')" => /\AMYCODE of mine\z/,
    "return redis.call('INCR', KEYS[1])" => /\AERR value is not an integer or out of range script: /,
    "return redis.call('LPUSH', KEYS[1], 'job')" => /\AWRONGTYPE Operation against a key holding the wrong kind of value/,
    "error('of mine')" => /\AERR user_script:1: of mine script: /,
    "return nosuch" => /\AERR user_script:1: Script attempted to access nonexistent global variable 'nosuch' script: /,
    "return (" => /\AERR Error compiling script \(new function\): user_script:1: unexpected symbol near '<eof>'/
  }.each { |script, words| check words, refusal { client.eval(script, keys: [text]) } }
  caught = "local answer = redis.pcall('INCR', KEYS[1]) return {answer.err, redis.call('DEL', KEYS[1])}"
  check ["ERR value is not an integer or out of range", 1], client.eval(caught, keys: [text])
end

scenario "script: by its SHA1, once the server has it" do |tools|
  client, other = tools.connect, tools.connect
  loaded, evaluated, unknown = new_script, new_script, new_script
  check sha1(loaded), client.script(:load, loaded)
  client.eval(evaluated)
  [loaded, evaluated].each { |script| check script, "return '#{other.evalsha(sha1(script))}'" }
  check(/\ANOSCRIPT No matching script/, refusal { other.evalsha(sha1(unknown)) })
  check [true, false, true], client.script(:exists, [loaded, unknown, evaluated].map { |script| sha1(script) })
  check true, client.script(:exists, sha1(loaded))
end

scenario "script: by its text where the server has forgotten it" do |tools|
  tools.need_own_server
  client, lock = tools.connect, tools.key("mutex:forgotten")
  2.times do
    client.set(lock, "holder", ex: 30)
    client.script(:flush)
    check 0, run_script(client, RELEASE, keys: [lock], argv: ["stranger"])
    check 1, run_script(client, RELEASE, keys: [lock], argv: ["holder"])
  end
  tools.server("kill")
  tools.server("start")
  eventually("the server is back") { reachable?(client) }
  check 0, run_script(client, RELEASE, keys: [lock], argv: ["holder"])
end

def reachable?(client)
  client.ping == "PONG"
rescue Redis::BaseConnectionError
  false
end

scenario "script: of twenty at once five are let in" do |tools|
  limit = tools.key("ratelimit:login")
  clients = Array.new(20) { tools.connect }
  answers = clients.map { |client| Thread.new { client.eval(TAKE, keys: [limit], argv: [5, 60_000]) } }.map(&:value)
  admitted, refused = answers.partition { |answer, _| answer == 1 }
  check [0, 1, 2, 3, 4], admitted.map(&:last).sort
  refused.each { |_, ms| check 1..60_000, ms }
end

scenario "script: a status, read and written as JSON" do |tools|
  client, status = tools.connect, tools.key("job:status")
  %w[RUNNING COMPLETED].each { |word| run_script(client, UPDATE_STATUS, keys: [status], argv: [word]) }
  check({ "status" => "COMPLETED", "updates" => 2 }, JSON.parse(client.get(status)))
end

scenario "script: in a transaction" do |tools|
  client, other, counter = tools.connect, tools.connect, tools.key("counter")
  script = "return redis.call('INCRBY', KEYS[1], ARGV[1])"
  replies = client.multi do |transaction|
    transaction.eval(script, keys: [counter], argv: [5])
    transaction.evalsha(sha1(script), keys: [counter], argv: [2])
    transaction.get(counter)
  end
  check [5, 7, "7"], replies
  replies = client.watch(counter) do
    other.evalsha(sha1(script), keys: [counter], argv: [1])
    client.multi { |transaction| transaction.del(counter) }
  end
  check nil, replies
end

scenario "script: one that does not end is killed, and others are told" do |tools|
  tools.need_own_server
  looping, other, key = tools.connect, tools.connect, tools.key("counter")
  other.call("CONFIG", "SET", "lua-time-limit", "20")
  begin
    script = Thread.new { refusal { looping.eval("while true do end") } }
    eventually("it is busy") { refusal { other.get(key) }.start_with?("BUSY ") }
    check "OK", other.script(:kill)
    check(/Script killed by user with SCRIPT KILL/, script.value)
    check(/\ANOTBUSY /, refusal { other.script(:kill) })
  ensure
    other.call("CONFIG", "SET", "lua-time-limit", "5000")
  end
end

scenario "function: loaded, called, listed and deleted" do |tools|
  client, stock = tools.connect, tools.key("stock")
  name = "shop_#{SecureRandom.hex(8)}"
  code = <<~LUA
    #!lua name=#{name}
    local function take(keys, args)
      local left = tonumber(redis.call('GET', keys[1]) or '0') - tonumber(args[1])
      if left < 0 then return redis.error_reply('SOLDOUT none left') end
      redis.call('SET', keys[1], left)
      return left
    end
    redis.register_function('#{name}_take', take)
  LUA
  client.set(stock, "5")
  check name, client.call("FUNCTION", "LOAD", code)
  begin
    check 2, client.call("FCALL", "#{name}_take", "1", stock, "3")
    check(/\ASOLDOUT none left/, refusal { client.call("FCALL", "#{name}_take", "1", stock, "3") })
    check(/\AERR Library '#{name}' already exists/, refusal { client.call("FUNCTION", "LOAD", code) })
    check 1, client.call("FUNCTION", "LIST", "LIBRARYNAME", name).length
  ensure
    check "OK", client.call("FUNCTION", "DELETE", name)
  end
  check(/\AERR Function not found/, refusal { client.call("FCALL", "#{name}_take", "1", stock, "3") })
end
