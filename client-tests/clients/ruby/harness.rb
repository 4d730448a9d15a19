# Runs scenarios one after the other and prints a line for each: `pass|fail|skip <tab> scenario <tab> reason`, then `done`.

require "timeout"

SECONDS_PER_SCENARIO = 20

TARGET = {
  host: ENV.fetch("TARGET_HOST"),
  port: ENV.fetch("TARGET_PORT").to_i,
  username: ENV.fetch("TARGET_USER"),
  password: ENV.fetch("TARGET_PASSWORD"),
  db: ENV.fetch("TARGET_DB").to_i
}.reject { |_, value| value == "" }.freeze

OTHER_DB = ENV.fetch("TARGET_OTHER_DB").to_i
DEAD_PORT = ENV.fetch("TARGET_DEAD_PORT").to_i

# A reason to skip that only shows once the scenario runs.
class Skip < StandardError; end

SCENARIOS = {}

def scenario(name, &block)
  SCENARIOS[name] = block
end

def check(expected, actual)
  raise "expected #{expected.inspect}, got #{actual.inspect}" unless expected === actual
end

# Waits until the block returns something true.
def eventually(what)
  deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 10
  until yield
    raise "not within 10 s: #{what}" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline
    sleep 0.025
  end
end

# Takes a server away (`kill`, `stop`) and brings it back on the same port (`start`; what runs already is left alone).
# `clear` ends it, and what it has kept is gone.
Server = Struct.new(:port, :parameters) do
  def control(verb)
    system({ "SERVER_PARAMETERS" => parameters }, ENV.fetch("TARGET_CONTROL"), verb, port.to_s, exception: true)
  end
end

# What a scenario works with; the block given is the library's way to make a client from settings.
class Tools
  def initialize(&make_client)
    @make_client = make_client
    @opened = []
    @keys = []
  end

  def connect(**settings)
    client = @make_client.call(TARGET.merge(settings).compact)
    @opened << client
    client
  end

  # A key that no other scenario and no earlier run uses; it is removed at the end.
  def key(text)
    @keys << "#{text}:#{Process.clock_gettime(Process::CLOCK_REALTIME, :nanosecond)}"
    @keys.last
  end

  def server(verb)
    need_own_server
    Server.new(TARGET[:port]).control(verb)
  end

  # A server besides the other, which starts empty and keeps its data as its parameters say.
  def keeping_server(parameters)
    need_own_server
    @keeping = Server.new(ENV.fetch("TARGET_KEEPING_PORT").to_i, parameters)
    @keeping.control("start")
    @keeping
  end

  def need_own_server
    raise Skip, "only on a server that the tests may end" unless own_server?
  end

  def remove_keys
    return if @keys.empty?
    [TARGET[:db], OTHER_DB].each { |db| connect(db: db).del(*@keys) }
  end

  def close
    @opened.each(&:close)
    @keeping&.control("clear")
    server("start") if own_server?
  end

  private

  def own_server?
    ENV.fetch("TARGET_CONTROL") != ""
  end
end

def run_all(&make_client)
  SCENARIOS.each do |name, block|
    kind, reason = run_one(Tools.new(&make_client), block)
    puts [kind, name, reason&.gsub("\n", " ")].compact.join("\t")
    $stdout.flush
  end
  puts "done"
end

def run_one(tools, block)
  Timeout.timeout(SECONDS_PER_SCENARIO) { block.call(tools) }
  tools.remove_keys
  ["pass"]
rescue Skip => error
  ["skip", error.message]
rescue StandardError => error
  ["fail", "#{error.class}: #{error.message} #{error.backtrace&.first(4)&.join(' ')}"[0, 600]]
ensure
  tools.close
end
