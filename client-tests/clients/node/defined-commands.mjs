// Commands that ioredis makes of scripts: by EVAL on a connection's first call, by EVALSHA afterwards, and by EVAL again
// where the server has forgotten the script.

import assert from 'node:assert/strict';
import { promisify } from 'node:util';
import { eventually } from './harness.mjs';

const DEFINITIONS = {
  addBoth: { numberOfKeys: 2, lua: "return {redis.call('INCRBY', KEYS[1], ARGV[1]), redis.call('INCRBY', KEYS[2], ARGV[1])}" },
  addAll: { lua: "local sums = {} for i, key in ipairs(KEYS) do sums[i] = redis.call('INCRBY', key, ARGV[1]) end return sums" },
  echo: { numberOfKeys: 0, lua: 'return ARGV' },
  readAll: { lua: "return redis.call('MGET', unpack(KEYS))", readOnly: true },
  refuse: { numberOfKeys: 1, lua: "return redis.error_reply('REFUSED ' .. KEYS[1])" },
};

async function defined(connect, settings) {
  const { redis, ...client } = await connect(settings);
  for (const [name, definition] of Object.entries(DEFINITIONS)) redis.defineCommand(name, definition);
  return { redis, ...client };
}

/** The names of the commands that others send meanwhile, for as long as the work lasts. */
async function sentDuring(redis, work) {
  // It makes a connection of its own.
  const monitor = await redis.monitor();
  const sent = [];
  const end = `end ${Math.random()}`;
  try {
    const ended = new Promise((resolve) => {
      monitor.on('monitor', (_time, words, source) => {
        if (words[1] === end) resolve();
        else if (source !== 'lua') sent.push(words[0].toLowerCase());
      });
    });
    await work();
    await redis.call('ECHO', end);
    await ended;
  } finally {
    monitor.disconnect();
  }
  return sent;
}

const replies = (pairs) => pairs.map(([error, reply]) => error?.message ?? reply);

export const definedCommands = {
  async 'defined command: as many keys as it was defined with, or as it is called with'({ connect, key }) {
    const { redis } = await defined(connect);
    const [one, two, three] = [key('one'), key('two'), key('three')];
    assert.deepEqual(await redis.addBoth(one, two, 5), [5, 5]);
    assert.deepEqual(await redis.addAll(3, one, two, three, 2), [7, 7, 2]);
    assert.deepEqual(await redis.addAll(1, three, 1), [3]);
    assert.deepEqual(await redis.addAll(0, 1), []);
    assert.deepEqual(await redis.readAll(3, one, two, three), ['7', '7', '3']);
    assert.deepEqual(await redis.echo('ü', '', 5), ['ü', '', '5']);
    await assert.rejects(redis.refuse(one), new RegExp(`REFUSED ${one}`));
  },

  async 'defined command: callbacks and keys with a prefix'({ connect, key }) {
    const { redis } = await defined(connect);
    const prefixed = redis.duplicate({ keyPrefix: 'prefixed:' });
    prefixed.defineCommand('addAll', DEFINITIONS.addAll);
    const counter = key('counter');
    try {
      assert.deepEqual(await promisify(prefixed.addAll).call(prefixed, 1, counter, 4), [4]);
      assert.equal(await redis.get(`prefixed:${counter}`), '4');
    } finally {
      await prefixed.del(counter);
      prefixed.disconnect();
    }
  },

  async 'defined command: bytes in and out'({ connect, key }) {
    const { redis } = await defined(connect);
    const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    const [bytes, text] = await redis.echoBuffer(every, 'text');
    assert.ok(every.equals(bytes));
    assert.deepEqual(text, Buffer.from('text'));
    const blob = key('blob');
    await redis.set(blob, every);
    const [read] = await redis.readAllBuffer(1, blob);
    assert.ok(every.equals(read));
  },

  async 'defined command: the text once, then its SHA1'({ connect, ownServer }) {
    ownServer();
    const { redis } = await defined(connect);
    const sent = await sentDuring(redis, async () => {
      for (let round = 0; round < 3; round++) await redis.echo('a');
    });
    assert.deepEqual(sent, ['eval', 'evalsha', 'evalsha']);
  },

  async 'defined command: again by its text where the server has forgotten it'({ connect, key, ownServer }) {
    ownServer();
    const { redis } = await defined(connect);
    const [one, two] = [key('one'), key('two')];
    await redis.addBoth(one, two, 1);
    const sent = await sentDuring(redis, async () => {
      await redis.script('FLUSH');
      assert.deepEqual(await redis.addBoth(one, two, 1), [2, 2]);
      assert.deepEqual(await redis.addBoth(one, two, 1), [3, 3]);
    });
    assert.deepEqual(sent, ['script', 'evalsha', 'eval', 'evalsha']);
  },

  async 'defined command: after a restart of the server'({ connect, ownServer }) {
    const server = ownServer();
    const { redis, ping } = await defined(connect, { patient: true });
    assert.deepEqual(await redis.echo('before'), ['before']);
    server.kill();
    server.start();
    await eventually('it is connected again', async () => (await ping()) === 'PONG');
    assert.deepEqual(await redis.echo('after'), ['after']);
  },

  async 'defined command: in a pipeline'({ connect, key }) {
    const { redis } = await defined(connect);
    const [one, two] = [key('one'), key('two')];
    const sent = () => redis.pipeline().addBoth(one, two, 1).refuse(one).addAll(2, one, two, 1).echoBuffer('a').get(one).exec();
    assert.deepEqual(replies(await sent()), [[1, 1], `REFUSED ${one}`, [2, 2], [Buffer.from('a')], '2']);
    assert.equal(replies(await sent()).at(-1), '4');
  },

  async 'defined command: in a pipeline to a server that has forgotten'({ connect, key, ownServer }) {
    ownServer();
    const { redis } = await defined(connect);
    const [one, two] = [key('one'), key('two')];
    await redis.addBoth(one, two, 1);
    await redis.echo('a');
    await redis.script('FLUSH');
    const pairs = await redis.pipeline().addBoth(one, two, 1).echo('b').addBoth(one, two, 1).exec();
    assert.deepEqual(replies(pairs).map((reply) => reply.length), [2, 1, 2]);
    assert.deepEqual(await redis.mget(one, two), ['3', '3']);
  },

  async 'defined command: in a transaction'({ connect, key }) {
    const { redis } = await defined(connect);
    const [one, two] = [key('one'), key('two')];
    const sent = () => redis.multi().addBoth(one, two, 1).refuse(one).addAll(1, one, 1).get(one).exec();
    assert.deepEqual(replies(await sent()), [[1, 1], `REFUSED ${one}`, [2], '2']);
    assert.equal(replies(await sent()).at(-1), '4');
    const other = redis.duplicate();
    try {
      await redis.watch(one);
      await other.incr(one);
      assert.equal(await redis.multi().addBoth(one, two, 1).exec(), null);
    } finally {
      other.disconnect();
    }
  },

  async 'defined command: forgotten before a transaction, it fails in its place'({ connect, key, ownServer }) {
    ownServer();
    const { redis } = await defined(connect);
    const counter = key('counter');
    await redis.addAll(1, counter, 1);
    await redis.script('FLUSH');
    const [refused, counted] = replies(await redis.multi().addAll(1, counter, 1).incr(counter).exec());
    assert.match(refused, /^NOSCRIPT No matching script/);
    assert.equal(counted, 2);
  },

  async 'defined command: a hundred at once on a new connection'({ connect, key }) {
    const { redis } = await defined(connect);
    const [one, two] = [key('one'), key('two')];
    const sums = await Promise.all(Array.from({ length: 100 }, () => redis.addBoth(one, two, 1)));
    assert.deepEqual(sums.at(-1), [100, 100]);
  },
};
