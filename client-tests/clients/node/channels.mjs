// The channels of a chat backend: several nodes subscribe, any of them publishes, and each sees all messages in their order.

import assert from 'node:assert/strict';
import { eventually, otherDb } from './harness.mjs';

const LARGE_BYTES = 3 << 20;

const numbers = (count) => Array.from({ length: count }, (_, number) => String(number));

async function eventuallyEqual(what, actual, expected) {
  await eventually(what, () => actual.length >= expected.length);
  assert.deepEqual(actual, expected);
}

/** Replies of names and counts in turn are arrays in some libraries and objects in others. */
const countsOf = (reply) => (Array.isArray(reply) ? Object.fromEntries([reply]) : { ...reply });

export const channels = {
  async 'channels: a message reaches every node'({ connect, key }) {
    const publisher = await connect();
    const channel = key('message:new');
    assert.equal(await publisher.publish(channel, 'nobody listens'), 0);
    const nodes = await Promise.all(Array.from({ length: 5 }, () => connect()));
    const seen = nodes.map(() => []);
    for (const [number, node] of nodes.entries()) {
      await node.subscribe([channel], (message, from) => seen[number].push([from, message]));
    }
    const message = JSON.stringify({ messageId: 'm1', chatId: 'c1', content: 'Grüße, 世界 👋' });
    assert.equal(await publisher.publish(channel, message), 5);
    for (const messages of seen) await eventuallyEqual('every node sees it', messages, [[channel, message]]);
  },

  async 'channels: messages keep their order'({ connect, key }) {
    const [node, publisher] = [await connect(), await connect()];
    const names = [key('typing:start'), key('typing:stop')];
    const seen = [];
    await node.subscribe(names, (message, from) => seen.push([from, message]));
    const sent = numbers(1000).map((number) => [names[number % 2], number]);
    const counts = await Promise.all(sent.map(([channel, message]) => publisher.publish(channel, message)));
    assert.ok(counts.every((count) => count === 1));
    await eventuallyEqual('all are seen', seen, sent);
  },

  async 'channels: a large message and an empty one'({ connect, key }) {
    const [node, publisher] = [await connect(), await connect()];
    const channel = key('message:new');
    const seen = [];
    await node.subscribe([channel], (message) => seen.push(message));
    const large = 'x'.repeat(LARGE_BYTES);
    await publisher.publish(channel, large);
    await publisher.publish(channel, '');
    await eventually('both are seen', () => seen.length === 2);
    assert.ok(seen[0] === large && seen[1] === '');
  },

  async 'channels: nothing comes after unsubscribing'({ connect, key }) {
    const [node, publisher] = [await connect(), await connect()];
    const [edited, deleted] = [key('message:edit'), key('message:delete')];
    const seen = [];
    await node.subscribe([edited, deleted], (message) => seen.push(message));
    await node.unsubscribe(edited);
    await eventually('one is left', async () => (await publisher.publish(edited, 'unseen')) === 0);
    assert.equal(await publisher.publish(deleted, 'seen'), 1);
    await eventuallyEqual('the other one is seen', seen, ['seen']);
    await node.unsubscribe(deleted);
    await eventually('none is left', async () => (await publisher.publish(deleted, 'unseen')) === 0);
    assert.equal(await node.get(deleted), null);
    assert.deepEqual(seen, ['seen']);
  },

  async 'channels: the same for all databases'({ connect, key }) {
    const [node, publisher] = [await connect(), await connect({ db: otherDb })];
    const channel = key('user:status');
    const seen = [];
    await node.subscribe([channel], (message) => seen.push(message));
    assert.equal(await publisher.publish(channel, 'online'), 1);
    await eventuallyEqual('it is seen', seen, ['online']);
  },

  async 'channels: who listens can be asked'({ connect, key }) {
    const [first, second, asker] = [await connect(), await connect(), await connect()];
    const [both, one, none] = [key('ask:both'), key('ask:one'), key('ask:none')];
    await first.subscribe([both, one], () => {});
    await second.subscribe([both], () => {});
    assert.deepEqual(await asker.command('PUBSUB', 'CHANNELS', `${one}*`), [one]);
    assert.deepEqual((await asker.command('PUBSUB', 'CHANNELS')).filter((name) => [both, one, none].includes(name)).length, 2);
    assert.deepEqual(countsOf(await asker.command('PUBSUB', 'NUMSUB', both)), { [both]: 2 });
    assert.deepEqual(countsOf(await asker.command('PUBSUB', 'NUMSUB', none)), { [none]: 0 });
    first.drop();
    await eventually('the first is counted no more', async () => (await asker.publish(both, 'm')) === 1);
    assert.deepEqual(await asker.command('PUBSUB', 'CHANNELS', `${one}*`), []);
  },
};

export const patterns = {
  async 'channels: a pattern brings messages of many channels'({ connect, key }) {
    const [node, publisher] = [await connect(), await connect()];
    const prefix = key('message');
    const [seen, plain] = [[], []];
    await node.psubscribe([`${prefix}:*`, `${prefix}:ne[vw]`], (message, from) => seen.push([from, message]));
    await node.subscribe([`${prefix}:new`], (message) => plain.push(message));
    assert.equal(await publisher.publish(`${prefix}:edit`, 'one'), 1);
    assert.equal(await publisher.publish(`${prefix}:new`, 'three'), 3);
    assert.equal(await publisher.publish(prefix, 'none'), 0);
    const twice = [`${prefix}:new`, 'three'];
    await eventuallyEqual('all are seen', seen, [[`${prefix}:edit`, 'one'], twice, twice]);
    await eventuallyEqual('so is the plain one', plain, ['three']);
    assert.ok((await publisher.command('PUBSUB', 'NUMPAT')) >= 2);
    await node.punsubscribe(`${prefix}:*`);
    await eventually('one pattern is left', async () => (await publisher.publish(`${prefix}:edit`, 'unseen')) === 0);
    assert.equal(await publisher.publish(`${prefix}:new`, 'two'), 2);
  },

  async 'channels: patterns are there again after a restart of the server'({ connect, key, ownServer }) {
    const server = ownServer();
    const node = await connect({ patient: true });
    const prefix = key('message');
    const seen = [];
    await node.psubscribe([`${prefix}:*`], (message) => seen.push(message));
    server.stop();
    server.start();
    const publisher = await connect();
    await eventually('somebody listens', async () => (await publisher.publish(`${prefix}:new`, 'hello')) === 1);
    await eventuallyEqual('it is seen', seen, ['hello']);
  },
};

export const shards = {
  async 'channels: sharded ones are apart from the others'({ connect, key }) {
    const [node, other, publisher] = [await connect(), await connect(), await connect()];
    const channel = key('{chat}:update');
    const [seen, plain] = [[], []];
    await node.ssubscribe([channel], (message, from) => seen.push([from, message]));
    await other.subscribe([channel], (message) => plain.push(message));
    assert.equal(await publisher.spublish(channel, 'sharded'), 1);
    assert.equal(await publisher.publish(channel, 'plain'), 1);
    await eventuallyEqual('the sharded one is seen', seen, [[channel, 'sharded']]);
    await eventuallyEqual('and the plain one', plain, ['plain']);
    assert.deepEqual(await publisher.command('PUBSUB', 'SHARDCHANNELS', `${channel.replace(/[{}]/g, '?')}*`), [channel]);
    assert.deepEqual(countsOf(await publisher.command('PUBSUB', 'SHARDNUMSUB', channel)), { [channel]: 1 });
    await node.sunsubscribe(channel);
    await eventually('it is left', async () => (await publisher.spublish(channel, 'unseen')) === 0);
  },
};

export const bytes = {
  async 'channels: any bytes arrive as they were sent'({ connect, key }) {
    const [node, publisher] = [await connect(), await connect()];
    const channel = key('message:binary');
    const seen = [];
    await node.subscribeBytes([channel], (message) => seen.push(Buffer.from(message)));
    const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    const sent = [every, Buffer.from('\r\n$-1\r\n'), Buffer.alloc(LARGE_BYTES, every)];
    for (const message of sent) await publisher.publish(channel, message);
    await eventually('all are seen', () => seen.length === sent.length);
    assert.ok(sent.every((message, number) => message.equals(seen[number])));
  },
};

export const refusedWhileListening = {
  async 'channels: with RESP2 a listening connection refuses other commands'({ connect, key }) {
    const [node, publisher] = [await connect(), await connect()];
    const channel = key('job_updates');
    const seen = [];
    await node.subscribe([channel], (message) => seen.push(message));
    // The library itself or the server, whoever sees it first.
    await assert.rejects(async () => node.get(channel), /subscriber mode|PubSub mode|Can't execute 'get': only/);
    assert.equal(await publisher.publish(channel, 'still listening'), 1);
    await eventuallyEqual('it still listens', seen, ['still listening']);
  },
};

export const commandsWhileListening = {
  async 'channels: with RESP3 a listening node goes on with commands'({ connect, key }) {
    const [node, publisher] = [await connect({ resp3: true }), await connect()];
    const [channel, counter] = [key('chat:update'), key('message:count')];
    const seen = [];
    await node.subscribe([channel], (message) => seen.push(message));
    const counts = [];
    for (const number of numbers(50)) {
      publisher.publish(channel, number);
      counts.push(await node.incr(counter));
    }
    assert.deepEqual(counts.map(String), numbers(51).slice(1));
    // Its own messages reach it as well.
    assert.equal(await node.publish(channel, 'own'), 1);
    await eventually('all are seen', () => seen.length === 51);
    assert.deepEqual(seen.filter((message) => message !== 'own'), numbers(50));
  },
};
