# redis-rb, whatever version the machine has.

require "redis"
require_relative "harness"
require_relative "mutex"
require_relative "idempotency"
require_relative "channels"
require_relative "jobs"
require_relative "cache"
require_relative "connection"
require_relative "transactions"
require_relative "scripts"
require_relative "delivery"
require_relative "retries"
require_relative "keeping"

run_all { |settings| Redis.new(**settings, timeout: 5, reconnect_attempts: 1) }
