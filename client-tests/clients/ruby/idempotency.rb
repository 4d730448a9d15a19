# A service that handles every message once: SET key NX EX before the work, SET key EX after it, and on without the server.

require "json"
require "securerandom"

TTL_SECONDS = 86_400

class IdempotencyService
  attr_reader :errors

  def initialize(client)
    @client = client
    @errors = []
  end

  # True for a duplicate. Without a server every message is new: handling one twice is better than not at all.
  def check_and_mark_processing(id)
    !@client.set(id, JSON.generate(status: "processing"), nx: true, ex: TTL_SECONDS)
  rescue Redis::BaseError => error
    @errors << error
    false
  end

  def mark_completed(id)
    @client.set(id, JSON.generate(status: "completed", processed_at: Time.now.to_i), ex: TTL_SECONDS)
  end

  def redis_healthy?
    @client.ping == "PONG"
  rescue Redis::BaseError
    false
  end
end

scenario "idempotency: new once, then a duplicate" do |tools|
  client = tools.connect
  service = IdempotencyService.new(client)
  one, two = tools.key("idempotency:outbound:one"), tools.key("idempotency:outbound:two")
  check false, service.check_and_mark_processing(one)
  check true, service.check_and_mark_processing(one)
  check false, service.check_and_mark_processing(two)
  check '{"status":"processing"}', client.get(one)
  check TTL_SECONDS, client.ttl(one)
  check [], service.errors
end

scenario "idempotency: of ten instances one handles the message" do |tools|
  id = tools.key("idempotency:outbound:race")
  services = Array.new(10) { IdempotencyService.new(tools.connect) }
  duplicates = services.map { |service| Thread.new { service.check_and_mark_processing(id) } }.map(&:value)
  check 1, duplicates.count(false)
  check [], services.flat_map(&:errors)
end

scenario "idempotency: completion rewrites the value and the 24 hours" do |tools|
  client = tools.connect
  service, id = IdempotencyService.new(client), tools.key("idempotency:outbound:completed")
  service.check_and_mark_processing(id)
  check true, client.expire(id, 100)
  check 100, client.ttl(id)
  check "OK", service.mark_completed(id)
  check TTL_SECONDS, client.ttl(id)
  check "completed", JSON.parse(client.get(id))["status"]
  check true, service.check_and_mark_processing(id)
end

scenario "idempotency: healthy" do |tools|
  check true, IdempotencyService.new(tools.connect).redis_healthy?
end

scenario "idempotency: the user default with the password" do |tools|
  need_password
  service = IdempotencyService.new(tools.connect(username: TARGET[:username] || "default"))
  check false, service.check_and_mark_processing(tools.key("idempotency:outbound:user"))
  check [], service.errors
end

scenario "idempotency: a wrong password is refused" do |tools|
  need_password
  client = tools.connect(password: "wrong")
  check(/WRONGPASS invalid username-password pair or user is disabled/, refusal { client.get("any") })
end

scenario "idempotency: a missing password is refused" do |tools|
  need_password
  client = tools.connect(password: nil, username: nil)
  check(/NOAUTH/, refusal { client.get("any") })
end

scenario "idempotency: databases are apart" do |tools|
  here, there = tools.connect, tools.connect(db: OTHER_DB)
  id = tools.key("idempotency:outbound:database")
  check false, IdempotencyService.new(here).check_and_mark_processing(id)
  check nil, there.get(id)
  check false, IdempotencyService.new(there).check_and_mark_processing(id)
  check 1, there.del(id)
  check true, IdempotencyService.new(here).check_and_mark_processing(id)
end

scenario "idempotency: a dead server lets messages through" do |tools|
  service = IdempotencyService.new(tools.connect(port: DEAD_PORT))
  2.times { check false, service.check_and_mark_processing("idempotency:outbound:dead") }
  check false, service.redis_healthy?
  check [Redis::CannotConnectError] * 2, service.errors.map(&:class)
end

scenario("idempotency: the server crashes and comes back") { |tools| outage(tools, "kill") }

scenario("idempotency: the server is stopped and comes back") { |tools| outage(tools, "stop") }

scenario "idempotency: the service boots before the server" do |tools|
  tools.server("stop")
  service = IdempotencyService.new(tools.connect)
  check false, service.redis_healthy?
  tools.server("start")
  eventually("healthy") { service.redis_healthy? }
  id = tools.key("idempotency:outbound:boot")
  check false, service.check_and_mark_processing(id)
  check true, service.check_and_mark_processing(id)
end

scenario "idempotency: a graceful end leaves no connection" do |tools|
  name = "ending-#{SecureRandom.hex(8)}"
  leaving, watching = tools.connect(id: name), tools.connect
  id = tools.key("idempotency:outbound:last")
  check false, IdempotencyService.new(leaving).check_and_mark_processing(id)
  check true, watching.call("CLIENT", "LIST").include?("name=#{name} ")
  leaving.quit
  eventually("the connection is gone") { !watching.call("CLIENT", "LIST").include?("name=#{name} ") }
  check String, watching.get(id)
end

# The server goes and comes back; the service goes on meanwhile, and deduplicates again afterwards, in its database.
def outage(tools, ending)
  tools.need_own_server
  client = tools.connect(id: "outbound")
  service = IdempotencyService.new(client)
  before, during, after = %w[before during after].map { |time| tools.key("idempotency:outbound:#{time}") }
  check false, service.check_and_mark_processing(before)
  check true, service.check_and_mark_processing(before)

  tools.server(ending)
  2.times { check false, service.check_and_mark_processing(during) }
  check false, service.redis_healthy?
  check false, service.errors.empty?

  tools.server("start")
  eventually("healthy again") { service.redis_healthy? }
  check false, service.check_and_mark_processing(after)
  check true, service.check_and_mark_processing(after)
  check String, tools.connect.get(after)
  check nil, tools.connect(db: OTHER_DB).get(after)
  check "outbound", client.call("CLIENT", "GETNAME")
end

def need_password
  raise Skip, "only on a server with a password" unless TARGET[:password]
end
