# Transactions: MULTI and EXEC as the library sends them, WATCH for who reads before it writes, and what stops a whole or a part.

# Adds to a number that others add to as well: reads it, and writes it if nobody came between.
def add_one(client, counter)
  loop do
    replies = client.watch(counter) do
      read = client.get(counter).to_i
      client.multi { |transaction| transaction.set(counter, (read + 1).to_s) }
    end
    return if replies
  end
end

scenario "transaction: every reply in its place" do |tools|
  client, name, counter, missing = tools.connect, tools.key("user:name"), tools.key("user:visits"), tools.key("none")
  visits = nil
  replies = client.multi do |transaction|
    transaction.set(name, "Jürgen")
    transaction.incr(counter)
    visits = transaction.incr(counter)
    transaction.get(name)
    transaction.get(missing)
    transaction.sismember(missing, "ann")
  end
  check ["OK", 1, 2, "Jürgen", nil, false], replies
  check 2, visits.value
  check [1, nil], client.pipelined { |pipeline| pipeline.del(counter); pipeline.get(counter) }
end

scenario "transaction: nobody sees half of it" do |tools|
  writer, reader = tools.connect, tools.connect
  debit, credit = tools.key("account:debit"), tools.key("account:credit")
  writing = Thread.new { 100.times { writer.multi { |transaction| transaction.incr(debit); transaction.incr(credit) } } }
  while writing.alive?
    one, other = reader.mget(debit, credit)
    check one, other
  end
  writing.join
  check ["100", "100"], reader.mget(debit, credit)
end

scenario "transaction: a watched key that somebody changes stops it" do |tools|
  client, other = tools.connect, tools.connect
  stock, orders = tools.key("stock"), tools.key("orders")
  [
    -> { other.set(stock, "9") },
    -> { other.set(stock, "9") },
    -> { other.expire(stock, 30) },
    -> { other.del(stock) },
    -> { other.incr(stock) },
    -> { client.incr(stock) }
  ].each do |change|
    replies = client.watch(stock) do
      change.call
      client.multi { |transaction| transaction.incr(orders) }
    end
    check nil, replies
  end
  check nil, client.get(orders)
  other.incr(stock)
  check [1], client.multi { |transaction| transaction.incr(orders) }
end

scenario "transaction: what leaves the watched keys alone does not stop it" do |tools|
  client, other, elsewhere = tools.connect, tools.connect, tools.connect(db: OTHER_DB)
  stock, missing = tools.key("stock"), tools.key("missing")
  [-> { other.get(stock) }, -> { other.del(missing) }, -> { elsewhere.set(stock, "far") }].each do |attempt|
    replies = client.watch(stock, missing) do
      attempt.call
      client.multi { |transaction| transaction.get(stock) }
    end
    check [nil], replies
  end
  client.watch(stock)
  other.incr(stock)
  client.unwatch
  check ["1"], client.multi { |transaction| transaction.get(stock) }
end

scenario "transaction: an error in the block ends the watching" do |tools|
  client, other, stock = tools.connect, tools.connect, tools.key("stock")
  begin
    client.watch(stock) { raise ArgumentError, "no stock" }
  rescue ArgumentError => error
    check "no stock", error.message
  end
  other.incr(stock)
  check ["1"], client.multi { |transaction| transaction.get(stock) }
end

scenario "transaction: a watched key that has expired stops it" do |tools|
  client, other, session = tools.connect, tools.connect, tools.key("session")
  client.set(session, "short", px: 150)
  replies = client.watch(session) do
    check "short", client.get(session)
    eventually("it has expired") { other.get(session).nil? }
    client.multi { |transaction| transaction.set(session, "next") }
  end
  check nil, replies
end

scenario "transaction: six that read before they write lose nothing" do |tools|
  counter = tools.key("counter")
  clients = Array.new(6) { tools.connect }
  clients.map { |client| Thread.new { 5.times { add_one(client, counter) } } }.each(&:join)
  check "30", clients.first.get(counter)
end

scenario "transaction: a command that fails does not stop the others" do |tools|
  client, name, counter = tools.connect, tools.key("user:name"), tools.key("user:visits")
  client.set(name, "ann")
  error = refusal { client.multi { |transaction| transaction.incr(counter); transaction.incr(name); transaction.incr(counter) } }
  check(/\AERR value is not an integer or out of range/, error)
  check "2", client.get(counter)
end

scenario "transaction: one that is refused on its way stops all" do |tools|
  client, counter = tools.connect, tools.key("counter")
  error = refusal { client.multi { |transaction| transaction.incr(counter); transaction.call("SET", counter) } }
  check(/wrong number of arguments for 'set' command|EXECABORT/, error)
  check nil, client.get(counter)
  check [1], client.multi { |transaction| transaction.incr(counter) }
end

scenario "transaction: a thousand commands" do |tools|
  client, counter = tools.connect, tools.key("counter")
  check (1..1000).to_a, client.multi { |transaction| 1000.times { transaction.incr(counter) } }
end

scenario "transaction: what it pushes serves who waits, in the end" do |tools|
  producer = tools.connect
  worker, name = named(tools)
  jobs, other = tools.key("job_queue"), tools.key("other_queue")
  waiting = Thread.new { worker.blpop(other, jobs, timeout: LONG_WAIT_SECONDS) }
  until_waiting(producer, name, waiting)
  producer.multi do |transaction|
    transaction.lpush(jobs, "job 1")
    transaction.lpush(jobs, "job 2")
    transaction.lpush(other, "gone")
    transaction.del(other)
  end
  check [jobs, "job 2"], waiting.value
end
