// Lua on the server: scripts by their text and by their SHA1, functions in libraries; what they give back and how they fail.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { eventually, onlySince, sleep } from './harness.mjs';
import { nameOf, untilWaiting } from './jobs.mjs';

const RELEASE = `
  if redis.call('GET', KEYS[1]) == ARGV[1] then
    return redis.call('DEL', KEYS[1])
  end
  return 0
`;

const TAKE = `
  local taken = redis.call('INCR', KEYS[1])
  if taken == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
  if taken > tonumber(ARGV[1]) then return {0, redis.call('PTTL', KEYS[1])} end
  return {1, tonumber(ARGV[1]) - taken}
`;

const UPDATE_STATUS = `
  local job = cjson.decode(redis.call('GET', KEYS[1]) or '{"updates":0}')
  job.status = ARGV[1]
  job.updates = job.updates + 1
  local text = cjson.encode(job)
  redis.call('SET', KEYS[1], text, 'EX', 60)
  redis.call('PUBLISH', KEYS[2], text)
  return text
`;

const sha1 = (text) => createHash('sha1').update(text).digest('hex');

/** A script that no other run has brought to the server. */
const newScript = () => `return '${Math.random()}'`;

export const scripts = {
  async 'script: compares and deletes'({ connect, key }) {
    const [holder, stranger] = [await connect(), await connect()];
    const lock = key('mutex:script');
    await holder.lock(lock, 'holder', 30);
    assert.equal(await stranger.evaluate(RELEASE, [lock], ['stranger']), 0);
    assert.equal(await holder.evaluate(RELEASE, [lock], ['holder']), 1);
    assert.equal(await holder.evaluate(RELEASE, [lock], ['holder']), 0);
    assert.equal(await holder.get(lock), null);
  },

  async 'script: what it gives back'({ connect }) {
    const client = await connect();
    const replies = {
      'return 3.99': 3,
      'return -1.5': -1,
      'return 9007199254740992': 9007199254740992,
      "return 'Grüße 👋'": 'Grüße 👋',
      'return true': 1,
      'return false': null,
      'return': null,
      'return {}': [],
      "return {1, 'two', {3, {}}, false, 'five', nil, 'lost'}": [1, 'two', [3, []], null, 'five'],
      "return redis.status_reply('FINE')": 'FINE',
      "return redis.call('PING')": 'PONG',
      'return {#KEYS, #ARGV}': [0, 0],
      "return tostring(1/3)": '0.33333333333333',
    };
    for (const [script, expected] of Object.entries(replies)) assert.deepEqual(await client.evaluate(script), expected, script);
    assert.deepEqual(await client.evaluate('return {KEYS[1], ARGV[1], ARGV[2]}', ['a key'], ['', 'ü']), ['a key', '', 'ü']);
  },

  async 'script: how it fails'({ connect, key }) {
    const client = await connect();
    const text = key('text');
    await client.setFor(text, 'no number', 60);
    const failures = [
      ["return redis.error_reply('MYCODE of mine')", /MYCODE of mine$/],
      ["return {err = 'MYCODE of mine'}", /MYCODE of mine$/],
      ["return redis.call('INCR', KEYS[1])", /ERR value is not an integer or out of range script: /],
      ["return redis.call('LPUSH', KEYS[1], 'a')", /WRONGTYPE Operation against a key holding the wrong kind of value script: /],
      ["error('of mine')", /ERR user_script:1: of mine script: /],
      ['return nosuch', /ERR user_script:1: Script attempted to access nonexistent global variable 'nosuch' script: /],
      ['nosuch = 1', /ERR user_script:1: Attempt to modify a readonly table script: /],
      ['return (', /ERR Error compiling script \(new function\): user_script:1: unexpected symbol near '<eof>'/],
      ["return redis.call('SUBSCRIBE', 'a')", /ERR This \w+ command is not allowed from script script: /],
      ["return redis.call('NOSUCH')", /ERR Unknown .*command called from script script: /],
    ];
    for (const [script, words] of failures) await assert.rejects(client.evaluate(script, [text]), words, script);
    assert.equal(await client.get(text), 'no number');
  },

  async 'script: what it caught, and what it had done'({ connect, key }) {
    const client = await connect();
    const [text, counter] = [key('text'), key('counter')];
    await client.setFor(text, 'no number', 60);
    const caught = "local answer = redis.pcall('INCR', KEYS[1]) return {answer.err, redis.call('INCR', KEYS[2])}";
    assert.deepEqual(await client.evaluate(caught, [text, counter]), ['ERR value is not an integer or out of range', 1]);
    await assert.rejects(client.evaluate("redis.call('INCR', KEYS[1]) error('late')", [counter]), /late/);
    assert.equal(await client.get(counter), '2');
  },

  async 'script: by its SHA1, once the server has it'({ connect, key }) {
    const [client, other] = [await connect(), await connect()];
    const [loaded, evaluated, unknown] = [newScript(), newScript(), newScript()];
    assert.equal(await client.scriptLoad(loaded), sha1(loaded));
    await client.evaluate(evaluated);
    for (const script of [loaded, evaluated]) assert.equal(`return '${await other.evaluateSha(sha1(script))}'`, script);
    assert.equal(await client.evaluateSha(sha1(loaded).toUpperCase()), await other.evaluateSha(sha1(loaded)));
    await assert.rejects(other.evaluateSha(sha1(unknown)), /NOSCRIPT No matching script/);
    assert.deepEqual(await client.scriptExists([loaded, unknown, evaluated].map(sha1)), [1, 0, 1]);
    assert.equal(await client.evaluateSha(await client.scriptLoad(RELEASE), [key('mutex:sha')], ['holder']), 0);
  },

  async 'script: forgotten by a flush and by a restart'({ connect, ownServer }) {
    const server = ownServer();
    const client = await connect({ patient: true });
    const script = newScript();
    await client.scriptLoad(script);
    await client.command('SCRIPT', 'FLUSH');
    await assert.rejects(client.evaluateSha(sha1(script)), /NOSCRIPT/);
    await client.evaluate(script);
    server.kill();
    server.start();
    await eventually('the server has forgotten it', async () => String(await client.scriptExists([sha1(script)])) === '0');
    assert.equal(`return '${await client.evaluate(script)}'`, script);
  },

  async 'script: read only'({ connect, key }) {
    const client = await connect();
    const counter = key('counter');
    const [read, write] = ["return redis.call('GET', KEYS[1])", "return redis.call('INCR', KEYS[1])"];
    assert.equal(await client.evaluateReadOnly(read, [counter]), null);
    await assert.rejects(client.evaluateReadOnly(write, [counter]), /ERR Write commands are not allowed from read-only scripts/);
    const flagged = `#!lua flags=no-writes\n${write}`;
    await assert.rejects(client.evaluate(flagged, [counter]), /ERR Write commands are not allowed from read-only scripts/);
    assert.equal(await client.evaluate(write, [counter]), 1);
    assert.equal(await client.evaluateReadOnly(read, [counter]), '1');
  },

  async 'script: of twenty at once five are let in'({ connect, key }) {
    const clients = await Promise.all(Array.from({ length: 20 }, () => connect()));
    const limit = key('ratelimit:login');
    const answers = await Promise.all(clients.map((client) => client.evaluate(TAKE, [limit], ['5', '60000'])));
    const [admitted, refused] = [1, 0].map((kind) => answers.filter(([answer]) => answer === kind).map(([, detail]) => detail));
    assert.deepEqual(admitted.sort(), [0, 1, 2, 3, 4]);
    assert.equal(refused.length, 15);
    assert.ok(refused.every((ms) => ms > 0 && ms <= 60_000), `${refused}`);
  },

  async 'script: nobody sees half of it'({ connect, key }) {
    const [writer, reader] = [await connect(), await connect()];
    const [debit, credit] = [key('account:debit'), key('account:credit')];
    const both = "redis.call('INCR', KEYS[1]) return redis.call('INCR', KEYS[2])";
    const writing = Promise.all(Array.from({ length: 100 }, () => writer.evaluate(both, [debit, credit])));
    for (let round = 0; round < 50; round++) {
      const [one, other] = await reader.mget(debit, credit);
      assert.equal(one, other);
    }
    assert.equal((await writing).at(-1), 100);
  },

  async 'script: a thousand words, and as many back'({ connect, key }) {
    const client = await connect();
    const jobs = key('job_queue');
    const words = Array.from({ length: 1000 }, (_, number) => `job ${number}`);
    const script = "redis.call('RPUSH', KEYS[1], unpack(ARGV)) return redis.call('LRANGE', KEYS[1], 0, -1)";
    assert.deepEqual(await client.evaluate(script, [jobs], words), words);
  },

  async 'script: its own time, and keys that expire'({ connect, key }) {
    const client = await connect();
    await onlySince('7.2', client, 'time goes on in a script');
    const session = key('session');
    const frozen = `
      redis.call('SET', KEYS[1], 'v', 'PX', 5)
      local before = redis.call('TIME')
      for _ = 1, 300000 do end
      local after = redis.call('TIME')
      return {before[1] == after[1] and before[2] == after[2], redis.call('PTTL', KEYS[1])}
    `;
    assert.deepEqual(await client.evaluate(frozen, [session]), [1, 5]);
    await sleep(15);
    assert.equal(await client.evaluate("return redis.call('EXISTS', KEYS[1])", [session]), 0);
  },

  async 'script: serves who waits for a job'({ connect, key }) {
    const name = nameOf('worker');
    const [producer, worker] = [await connect(), await connect({ name })];
    await onlySince('7.2', producer, 'a script may not call what waits');
    const jobs = key('job_queue');
    const popped = worker.brpop([jobs], 5);
    await untilWaiting(producer, name, popped);
    const push = "redis.call('LPUSH', KEYS[1], ARGV[1]) return redis.call('BRPOP', KEYS[2], 5)";
    assert.equal(await producer.evaluate(push, [jobs, key('other_queue')], ['job']), null);
    assert.deepEqual(await popped, [jobs, 'job']);
  },

  async 'script: one that does not end is killed, and others are told'({ connect, key, ownServer }) {
    ownServer();
    const [looping, other] = [await connect(), await connect()];
    const counter = key('counter');
    await other.command('CONFIG', 'SET', 'lua-time-limit', '20');
    try {
      const killed = assert.rejects(looping.evaluate('while true do end'), /Script killed by user with SCRIPT KILL/);
      await eventually('it is busy', () => other.get(counter).then(() => false, (error) => /^BUSY /.test(error.message)));
      assert.equal(await other.command('SCRIPT', 'KILL'), 'OK');
      await killed;
      assert.equal(await looping.incr(counter), 1);
      await assert.rejects(other.command('SCRIPT', 'KILL'), /NOTBUSY No scripts in execution right now/);
    } finally {
      await other.command('CONFIG', 'SET', 'lua-time-limit', '5000');
    }
  },

  async 'script: in a transaction'({ connect, key }) {
    const [client, other] = [await connect(), await connect()];
    const [counter, watched] = [key('counter'), key('watched')];
    const script = "return redis.call('INCRBY', KEYS[1], ARGV[1])";
    const calls = [['EVAL', script, '1', counter, '5'], ['EVALSHA', sha1(script), '1', counter, '2']];
    const build = (chain) => client.queueWords(chain, ...calls).get(counter);
    assert.deepEqual(await client.transaction(build), [5, 7, '7']);
    await client.watch(watched);
    await other.evaluate("return redis.call('INCR', KEYS[1])", [watched]);
    assert.equal(await client.transaction(build), null);
  },

  async 'script: a status kept and announced'({ connect, key }) {
    const [worker, watcher] = [await connect(), await connect()];
    const [status, channel] = [key('job:status'), key('job_updates')];
    const seen = [];
    await watcher.subscribe([channel], (message) => seen.push(JSON.parse(message)));
    for (const word of ['RUNNING', 'COMPLETED']) await worker.evaluate(UPDATE_STATUS, [status, channel], [word]);
    await eventually('both updates are seen', () => seen.length === 2);
    assert.deepEqual(seen, [{ status: 'RUNNING', updates: 1 }, { status: 'COMPLETED', updates: 2 }]);
    assert.deepEqual(JSON.parse(await worker.get(status)), seen[1]);
  },
};

/** A library of functions under names that no other run has. */
function libraryOf() {
  const name = `shop_${Math.random().toString(36).slice(2)}`;
  const code = `#!lua name=${name}
    local function take(keys, args)
      local left = tonumber(redis.call('GET', keys[1]) or '0') - tonumber(args[1])
      if left < 0 then return redis.error_reply('SOLDOUT none left') end
      redis.call('SET', keys[1], left)
      return left
    end
    redis.register_function('${name}_take', take)
    redis.register_function{
      function_name = '${name}_left',
      callback = function(keys) return redis.call('GET', keys[1]) end,
      flags = {'no-writes'},
    }
  `;
  return { name, code, take: `${name}_take`, left: `${name}_left` };
}

/** The library is in the server's hands until the work ends, however it ends. */
async function withLibrary(client, work) {
  const library = libraryOf();
  assert.equal(await client.functionLoad(library.code), library.name);
  try {
    return await work(library);
  } finally {
    await client.functionDelete(library.name).catch(() => {});
  }
}

export const functions = {
  async 'function: called by whoever knows its name'({ connect, key }) {
    const [owner, buyer] = [await connect(), await connect()];
    const stock = key('stock');
    await owner.setFor(stock, '5', 60);
    await withLibrary(owner, async ({ take, left }) => {
      assert.equal(await buyer.fcall(take, [stock], ['3']), 2);
      await assert.rejects(buyer.fcall(take, [stock], ['3']), /SOLDOUT none left/);
      assert.equal(await buyer.fcallReadOnly(left, [stock]), '2');
      assert.equal(await buyer.fcall(left, [stock]), '2');
      await assert.rejects(buyer.fcallReadOnly(take, [stock], ['1']), /ERR Can not execute a script with write flag using \*_ro/);
      await assert.rejects(buyer.fcall(`${take}_not`, [stock]), /ERR Function not found/);
    });
  },

  async 'function: loaded once, replaced, listed and deleted'({ connect }) {
    const client = await connect();
    await withLibrary(client, async ({ name, code, take, left }) => {
      await assert.rejects(client.functionLoad(code), new RegExp(`ERR Library '${name}' already exists`));
      assert.equal(await client.functionLoad(code, { replace: true }), name);
      assert.deepEqual((await client.functionNames(name)).sort(), [left, take]);
      assert.equal(await client.functionDelete(name), 'OK');
      assert.deepEqual(await client.functionNames(name), []);
      await assert.rejects(client.functionDelete(name), /ERR Library not found/);
      await assert.rejects(client.fcall(take, [], []), /ERR Function not found/);
    });
  },

  async 'function: a library that cannot be'({ connect }) {
    const client = await connect();
    const { name, take } = libraryOf();
    const failures = [
      ['return 1', /ERR Missing library metadata/],
      ['#!lua name=not-good\nreturn 1', /ERR Library names can only contain letters, numbers, or underscores/],
      [`#!python name=${name}\nreturn 1`, /ERR Engine 'python' not found|Could not find scripting engine 'python'/],
      [`#!lua name=${name}\nreturn 1`, /ERR No functions registered/],
      [`#!lua name=${name}\nreturn (`, /ERR Error compiling function: user_function:2: unexpected symbol near '<eof>'/],
      [`#!lua name=${name}\nredis.call('PING')`, /ERR Error registering functions: .*attempt(ed)? to/i],
      [`#!lua name=${name}\nredis.register_function('${take}', 5)`, /ERR Error registering functions: .* must be a function/],
    ];
    for (const [code, words] of failures) await assert.rejects(client.functionLoad(code), words, code);
    assert.deepEqual(await client.functionNames(name), []);
  },

  async 'function: in a transaction'({ connect, key }) {
    const client = await connect();
    const stock = key('stock');
    await client.setFor(stock, '5', 60);
    await withLibrary(client, async ({ take }) => {
      const words = ['FCALL', take, '1', stock, '3'];
      const [left, refusal, read] = await client.transaction((chain) => client.queueWords(chain, words, words).get(stock));
      assert.deepEqual([left, read], [2, '2']);
      assert.match(refusal.message, /SOLDOUT/);
    });
  },

  async 'function: of ten buyers at once five are served'({ connect, key }) {
    const buyers = await Promise.all(Array.from({ length: 10 }, () => connect()));
    const stock = key('stock');
    await buyers[0].setFor(stock, '5', 60);
    await withLibrary(buyers[0], async ({ take }) => {
      const outcomes = await Promise.allSettled(buyers.map((buyer) => buyer.fcall(take, [stock], ['1'])));
      assert.deepEqual(outcomes.map(({ value }) => value).filter((left) => left !== undefined).sort(), [0, 1, 2, 3, 4]);
    });
  },
};

/** For libraries that give replies as bytes. */
export const functionDumps = {
  async 'function: dumped, and restored after they are gone'({ connect, key, ownServer }) {
    ownServer();
    const client = await connect();
    const stock = key('stock');
    await withLibrary(client, async ({ name, take }) => {
      const dump = await client.functionDump();
      await assert.rejects(client.functionRestore(dump), new RegExp(`ERR Library ${name} already exists`));
      assert.equal(await client.functionRestore(dump, 'REPLACE'), 'OK');
      await client.command('FUNCTION', 'FLUSH');
      assert.equal(await client.functionRestore(dump), 'OK');
      await client.setFor(stock, '5', 60);
      assert.equal(await client.fcall(take, [stock], ['1']), 4);
      const broken = Buffer.from(dump);
      broken[broken.length - 1] ^= 1;
      await assert.rejects(client.functionRestore(broken, 'REPLACE'), /ERR DUMP payload version or checksum are wrong/);
    });
  },
};

/** For libraries that give RESP3's types as they are. */
export const typedReplies = {
  async 'script: maps, numbers and booleans as they are'({ connect, key }) {
    const client = await connect({ resp3: true });
    assert.equal(await client.evaluate('return {double = 1.5}'), 1.5);
    assert.deepEqual({ ...await client.evaluate('return {map = {ann = 1, bob = {double = 0.25}}}') }, { ann: 1, bob: 0.25 });
    assert.deepEqual(await client.evaluate("return {set = {ann = true}}"), ['ann']);
    assert.equal(await client.evaluate('redis.setresp(3) return true'), true);
    assert.equal(await client.evaluate('redis.setresp(3) return false'), false);
    assert.equal(await client.evaluate('return true'), 1);
    assert.equal(await client.evaluate("return {big_number = '12345678901234567890'}"), 12345678901234567890n);
    const online = key('user:online');
    await client.sadd(online, 'ann', 'bob');
    const members = "redis.setresp(3) local online = redis.call('SMEMBERS', KEYS[1])";
    assert.deepEqual(await client.evaluate(`${members} return {online.set.ann, online.set.cem}`, [online]), [true]);
    assert.deepEqual((await client.evaluate(`${members} return online`, [online])).sort(), ['ann', 'bob']);
  },
};
