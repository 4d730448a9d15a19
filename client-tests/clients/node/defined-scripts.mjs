// Scripts and functions that a node-redis client is made with, as methods of its own.

import assert from 'node:assert/strict';
import { eventually } from './harness.mjs';

const LIBRARY = `shop_${Math.random().toString(36).slice(2)}`;

const LIBRARY_CODE = `#!lua name=${LIBRARY}
  redis.register_function('${LIBRARY}_add', function(keys, args) return redis.call('INCRBY', keys[1], args[1]) end)
  redis.register_function{
    function_name = '${LIBRARY}_left',
    callback = function(keys) return redis.call('GET', keys[1]) end,
    flags = {'no-writes'},
  }
`;

/** Version 4 asks a script for its words; later ones hand it the parser that takes them. */
const words = (reply) => ({
  transformArguments: (...given) => given.map(String),
  parseCommand: (parser, key, ...given) => {
    parser.pushKey(key);
    parser.push(...given.map(String));
  },
  ...reply,
});

const definitions = (defineScript) => ({
  scripts: {
    add: defineScript({
      NUMBER_OF_KEYS: 1,
      SCRIPT: "return redis.call('INCRBY', KEYS[1], ARGV[1])",
      ...words({ transformReply: (sum) => `sum ${sum}` }),
    }),
    addAll: defineScript({
      SCRIPT: "local sum = 0 for _, key in ipairs(KEYS) do sum = sum + redis.call('INCRBY', key, ARGV[1]) end return sum",
      transformArguments: (keys, amount) => [String(keys.length), ...keys, String(amount)],
      parseCommand: (parser, keys, amount) => {
        parser.pushKeysLength(keys);
        parser.push(String(amount));
      },
      transformReply: undefined,
    }),
    read: defineScript({ NUMBER_OF_KEYS: 1, IS_READ_ONLY: true, SCRIPT: "return redis.call('GET', KEYS[1])", ...words() }),
    refuse: defineScript({ NUMBER_OF_KEYS: 1, SCRIPT: "return redis.error_reply('REFUSED ' .. KEYS[1])", ...words() }),
  },
  functions: {
    shop: {
      [`${LIBRARY}_add`]: { NUMBER_OF_KEYS: 1, ...words() },
      [`${LIBRARY}_left`]: { NUMBER_OF_KEYS: 1, IS_READ_ONLY: true, ...words() },
    },
  },
});

const connectDefined = (connect, settings) => connect({ definitions, ...settings });

export const definedScripts = {
  async 'defined script: one key, and as many as it is called with'({ connect, key }) {
    const { redis } = await connectDefined(connect);
    const [one, two] = [key('one'), key('two')];
    assert.equal(await redis.add(one, 5), 'sum 5');
    assert.equal(await redis.addAll([one, two], 2), 9);
    assert.equal(await redis.read(two), '2');
    await assert.rejects(redis.refuse(one), new RegExp(`REFUSED ${one}`));
  },

  async 'defined script: by its text where the server has forgotten it'({ connect, key, ownServer }) {
    const server = ownServer();
    const { redis, ping } = await connectDefined(connect, { patient: true });
    const counter = key('counter');
    for (const expected of ['sum 1', 'sum 2']) {
      await redis.scriptFlush();
      assert.equal(await redis.add(counter, 1), expected);
    }
    server.kill();
    server.start();
    await eventually('it is connected again', async () => (await ping()) === 'PONG');
    assert.equal(await redis.add(counter, 1), 'sum 1');
  },

  async 'defined script: in a transaction by its text, then by its SHA1'({ connect, key, ownServer }) {
    ownServer();
    const { redis } = await connectDefined(connect);
    const [one, two] = [key('one'), key('two')];
    await redis.scriptFlush();
    const replies = await redis.multi().add(one, 1).add(one, 1).addAll([one, two], 3).get(one).exec();
    assert.deepEqual(replies, ['sum 1', 'sum 2', 8, '5']);
    const error = await redis.multi().add(one, 1).refuse(one).get(one).exec().catch((refusal) => refusal);
    assert.deepEqual([error.replies[0], error.replies[2]], ['sum 6', '6']);
    assert.match(error.replies[1].message, /^REFUSED/);
    assert.deepEqual(await redis.multi().add(one, 1).read(one).execAsPipeline(), ['sum 7', '7']);
  },

  async 'defined script: a hundred at once that the server has not seen'({ connect, key, ownServer }) {
    ownServer();
    const { redis } = await connectDefined(connect);
    const counter = key('counter');
    await redis.scriptFlush();
    const sums = await Promise.all(Array.from({ length: 100 }, () => redis.add(counter, 1)));
    assert.equal(new Set(sums).size, 100);
    assert.equal(await redis.get(counter), '100');
  },

  async 'defined function: of a library that the client loads'({ connect, key }) {
    const { redis } = await connectDefined(connect);
    const counter = key('counter');
    await redis.functionLoad(LIBRARY_CODE, { REPLACE: true });
    try {
      assert.equal(await redis.shop[`${LIBRARY}_add`](counter, 5), 5);
      assert.equal(await redis.shop[`${LIBRARY}_left`](counter), '5');
      const chain = redis.multi();
      assert.deepEqual(await chain.shop[`${LIBRARY}_add`](counter, 1).get(counter).exec(), [6, '6']);
      const [library] = (await redis.functionList()).filter((listed) => (listed.library_name ?? listed.libraryName) === LIBRARY);
      assert.equal(library.functions.length, 2);
      assert.equal(library.engine, 'LUA');
    } finally {
      await redis.functionDelete(LIBRARY);
    }
    await assert.rejects(redis.shop[`${LIBRARY}_add`](counter, 5), /ERR Function not found/);
  },
};
