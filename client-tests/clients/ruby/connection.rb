# How a service is connected: an address in one URL, and what it asks in trouble.

require "erb"

def url_of(host:, port:, db:, username: nil, password: nil)
  user = password ? "#{username}:#{ERB::Util.url_encode(password)}@" : ""
  "redis://#{user}#{host}:#{port}/#{db}"
end

scenario "connection: everything in a URL" do |tools|
  other, session = tools.connect, tools.key("session:token")
  client = Redis.new(url: url_of(**TARGET))
  client.set(session, "here", ex: 60)
  client.close
  check "here", other.get(session)
end

scenario "connection: memory and the slow log, for who looks for trouble" do |tools|
  tools.need_own_server
  client, session = tools.connect, tools.key("session:slow")
  client.config(:set, "slowlog-log-slower-than", 0)
  client.set(session, "v", ex: 60)
  client.config(:set, "slowlog-log-slower-than", 10_000)
  check true, client.slowlog(:get, 10).map { |entry| entry[3] }.include?(["set", session, "v", "EX", "60"])
  check 1.., client.info("memory")["used_memory"].to_i
  check "PONG", client.ping
end
