// The delivery of a chat's messages: a stream that a group of workers reads, each message acknowledged by who has handled it.

import assert from 'node:assert/strict';
import { eventually, sleep } from './harness.mjs';
import { nameOf, untilWaiting } from './jobs.mjs';

export const GROUP = 'delivery';

const LONG_WAIT_MS = 10_000;

export const messageOf = (number) => ({ messageId: `m${number}`, chatId: 'c1', content: `Grüße ${number} 👋` });

export const idsOf = (entries) => entries.map(({ id }) => id);

/** Adds so many messages one after the other, and returns their ids. */
export async function addMessages(client, stream, count) {
  const ids = [];
  for (let number = 0; number < count; number++) ids.push(await client.xadd(stream, messageOf(number)));
  return ids;
}

/** A group that reads from the first message on; false when somebody else has made it already. */
export async function openGroup(client, stream) {
  try {
    return (await client.xgroupCreate(stream, GROUP, '0', { withStream: true })) === 'OK';
  } catch (error) {
    if (/^BUSYGROUP /.test(error.message)) return false;
    throw error;
  }
}

/** The next messages of a stream for a worker; where the server has lost the group, there are none and it is made anew. */
async function nextMessages(worker, stream, consumer) {
  try {
    return (await worker.xreadgroup(GROUP, consumer, stream, '>', { count: 10, blockMs: LONG_WAIT_MS })) ?? [];
  } catch (error) {
    if (/^NOGROUP /.test(error.message)) await openGroup(worker, stream);
    else if (/^[A-Z]+ /.test(error.message)) throw error;
    else await sleep(25);
    return [];
  }
}

/** Handles and acknowledges messages until one says stop. */
async function deliver(worker, stream, consumer, handle) {
  for (;;) {
    for (const { id, message } of await nextMessages(worker, stream, consumer)) {
      await worker.xack(stream, GROUP, id);
      if (message.content === 'stop') return;
      handle(message);
    }
  }
}

export const delivery = {
  async 'delivery: the group is made with its stream, once'({ connect, key }) {
    const nodes = await Promise.all(Array.from({ length: 5 }, () => connect()));
    const stream = key('message-delivery-stream');
    await assert.rejects(nodes[0].xgroupCreate(stream, GROUP, '$'), /ERR The XGROUP subcommand requires the key to exist/);
    const made = await Promise.all(nodes.map((node) => openGroup(node, stream)));
    assert.equal(made.filter(Boolean).length, 1);
    assert.equal(await nodes[0].command('TYPE', stream), 'stream');
    assert.equal(await nodes[0].xlen(stream), 0);
    assert.equal(await nodes[0].xgroupDestroy(stream, GROUP), 1);
    assert.equal(await nodes[0].xgroupDestroy(stream, GROUP), 0);
    assert.equal(await nodes[0].xadd(key('no stream'), messageOf(1), { onlyIfThere: true }), null);
  },

  async 'delivery: messages keep their order and their fields'({ connect, key }) {
    const client = await connect();
    const stream = key('message-delivery-stream');
    const messages = [messageOf(1), { content: '', 'a field': 'x'.repeat(100_000) }, messageOf(3)];
    const ids = [];
    for (const message of messages) ids.push(await client.xadd(stream, message));
    const entries = ids.map((id, number) => ({ id, message: messages[number] }));
    assert.equal(await client.xlen(stream), 3);
    assert.deepEqual(await client.xrange(stream, '-', '+'), entries);
    assert.deepEqual(await client.xrange(stream, `(${ids[0]}`, '+', 1), [entries[1]]);
    assert.deepEqual(await client.xrevrange(stream, '+', '-', 2), [entries[2], entries[1]]);
    assert.deepEqual(await client.xread(stream, ids[0]), entries.slice(1));
    assert.equal(await client.xread(stream, ids[2]), null);
    assert.equal(await client.xdel(stream, ids[1], '1-1'), 1);
    assert.deepEqual(await client.xread(stream, '0', { count: 5 }), [entries[0], entries[2]]);
    await assert.rejects(client.xadd(stream, messageOf(4), { id: ids[2] }), /equal or smaller than the target stream top item/);
    await client.setFor(stream, 'no stream', 60);
    await assert.rejects(client.xadd(stream, messageOf(4)), /WRONGTYPE/);
  },

  async 'delivery: a waiting worker gets the message that comes'({ connect, key }) {
    const name = nameOf('worker');
    const [node, worker] = [await connect(), await connect({ name })];
    const stream = key('message-delivery-stream');
    await openGroup(node, stream);
    const read = worker.xreadgroup(GROUP, 'worker 1', stream, '>', { blockMs: LONG_WAIT_MS });
    await untilWaiting(node, name, read);
    const [id] = await addMessages(node, stream, 1);
    assert.deepEqual(await read, [{ id, message: messageOf(0) }]);
    assert.deepEqual(await node.xpending(stream, GROUP), { count: 1, first: id, last: id, consumers: { 'worker 1': 1 } });
    assert.equal(await worker.xack(stream, GROUP, id), 1);
    assert.equal(await worker.xack(stream, GROUP, id), 0);
    assert.deepEqual(await node.xpending(stream, GROUP), { count: 0, first: null, last: null, consumers: {} });
  },

  async 'delivery: waiting ends after its time'({ connect, key }) {
    const worker = await connect();
    const stream = key('message-delivery-stream');
    await openGroup(worker, stream);
    const started = performance.now();
    assert.equal(await worker.xreadgroup(GROUP, 'worker', stream, '>', { blockMs: 100 }), null);
    const ms = performance.now() - started;
    assert.ok(ms > 90 && ms < 1500, `waited ${ms} ms`);
    assert.equal(await worker.xread(stream, '$', { blockMs: 10 }), null);
  },

  async 'delivery: who reads without a group sees every message'({ connect, key }) {
    const node = await connect();
    const stream = key('message-delivery-stream');
    await addMessages(node, stream, 1);
    const reading = [];
    for (let number = 0; number < 3; number++) {
      const name = nameOf('reader');
      const reader = await connect({ name });
      reading.push(reader.xread(stream, '$', { blockMs: LONG_WAIT_MS }));
      await untilWaiting(node, name, reading.at(-1));
    }
    const id = await node.xadd(stream, messageOf(1));
    assert.deepEqual(await Promise.all(reading), Array(3).fill([{ id, message: messageOf(1) }]));
  },

  async 'delivery: three workers handle every message once'({ connect, key }) {
    const nodes = [await connect(), await connect()];
    const stream = key('message-delivery-stream');
    await openGroup(nodes[0], stream);
    const handled = [];
    const working = ['ann', 'bob', 'cem'].map(async (consumer) => (
      deliver(await connect(), stream, consumer, ({ messageId }) => handled.push(messageId))
    ));
    const numbers = Array.from({ length: 200 }, (_, number) => number);
    await Promise.all(numbers.map((number) => nodes[number % 2].xadd(stream, messageOf(number))));
    await Promise.race([eventually('all are handled', () => handled.length >= 200), ...working]);
    await Promise.all(working.map((_, number) => stop(nodes[0], stream, number + 1, working)));
    await Promise.all(working);
    assert.deepEqual(handled.sort(), numbers.map((number) => messageOf(number).messageId).sort());
    assert.equal((await nodes[0].xpending(stream, GROUP)).count, 0);
  },

  async 'delivery: who comes back finds what it had not acknowledged'({ connect, key }) {
    const stream = key('message-delivery-stream');
    const [node, crashing] = [await connect(), await connect()];
    await openGroup(node, stream);
    const ids = await addMessages(node, stream, 4);
    assert.deepEqual(idsOf(await crashing.xreadgroup(GROUP, 'worker', stream, '>', { count: 3 })), ids.slice(0, 3));
    await crashing.xack(stream, GROUP, ids[1]);
    crashing.drop();
    const worker = await connect();
    assert.deepEqual(idsOf(await worker.xreadgroup(GROUP, 'worker', stream, '0')), [ids[0], ids[2]]);
    assert.equal(await worker.xack(stream, GROUP, ids[0], ids[2]), 2);
    assert.deepEqual(await worker.xreadgroup(GROUP, 'worker', stream, '0'), []);
    assert.deepEqual(await worker.xreadgroup(GROUP, 'worker', stream, '>'), [{ id: ids[3], message: messageOf(3) }]);
  },

  async 'delivery: without acknowledgement nothing is pending'({ connect, key }) {
    const worker = await connect();
    const stream = key('message-delivery-stream');
    await openGroup(worker, stream);
    const ids = await addMessages(worker, stream, 2);
    assert.deepEqual(idsOf(await worker.xreadgroup(GROUP, 'worker', stream, '>', { withoutAck: true })), ids);
    assert.equal((await worker.xpending(stream, GROUP)).count, 0);
    assert.equal(await worker.xreadgroup(GROUP, 'worker', stream, '>'), null);
  },

  async 'delivery: a waiting worker is told that its group is gone'({ connect, key }) {
    const name = nameOf('worker');
    const [node, worker] = [await connect(), await connect({ name })];
    const stream = key('message-delivery-stream');
    await openGroup(node, stream);
    const read = worker.xreadgroup(GROUP, 'worker', stream, '>', { blockMs: LONG_WAIT_MS });
    await untilWaiting(node, name, read);
    const told = assert.rejects(read, /NOGROUP/);
    await node.xgroupDestroy(stream, GROUP);
    await told;
    await assert.rejects(worker.xreadgroup(GROUP, 'worker', stream, '>'), /NOGROUP No such key .* or consumer group/);
  },

  async 'delivery: goes on after a restart of the server'({ connect, key, ownServer }) {
    const server = ownServer();
    const name = nameOf('worker');
    const [watcher, worker] = [await connect(), await connect({ name, patient: true })];
    const stream = key('message-delivery-stream');
    await openGroup(watcher, stream);
    const handled = [];
    const working = deliver(worker, stream, 'worker', ({ messageId }) => handled.push(messageId));
    await untilWaiting(watcher, name, working);
    server.kill();
    server.start();
    const node = await connect();
    await addMessages(node, stream, 2);
    await node.xadd(stream, { content: 'stop' });
    await working;
    assert.deepEqual(handled, ['m0', 'm1']);
  },
};

/** A worker may read several messages that say stop and heed one, so each is sent when the ones before have ended somebody. */
async function stop(node, stream, count, working) {
  const ended = working.map(() => false);
  working.forEach((one, number) => one.then(() => { ended[number] = true; }));
  await eventually(`${count - 1} have stopped`, () => ended.filter(Boolean).length >= count - 1);
  await node.xadd(stream, { content: 'stop' });
}

export const streamInfo = {
  async 'stream info: what is in a stream'({ connect, key }) {
    const client = await connect();
    const stream = key('message-delivery-stream');
    await assert.rejects(client.xinfoStream(stream), /ERR no such key/);
    const ids = await addMessages(client, stream, 3);
    await client.xdel(stream, ids[0]);
    const { added, ...told } = await client.xinfoStream(stream);
    assert.deepEqual(told, {
      length: 2, groups: 0, lastId: ids[2],
      first: { id: ids[1], message: messageOf(1) }, last: { id: ids[2], message: messageOf(2) },
    });
    // Version 4 of node-redis leaves it out.
    assert.ok(added === undefined || added === 3);
    await client.xdel(stream, ids[1], ids[2]);
    const emptied = await client.xinfoStream(stream);
    assert.deepEqual([emptied.length, emptied.lastId, emptied.first, emptied.last], [0, ids[2], null, null]);
  },

  async 'stream info: how far a group is'({ connect, key }) {
    const client = await connect();
    const stream = key('message-delivery-stream');
    await openGroup(client, stream);
    const ids = await addMessages(client, stream, 3);
    await client.xreadgroup(GROUP, 'worker', stream, '>', { count: 2 });
    await client.xgroupCreate(stream, 'audit', '$');
    const [audit, group] = await client.xinfoGroups(stream);
    assert.deepEqual([audit.name, audit.consumers, audit.pending, audit.lastDelivered], ['audit', 0, 0, ids[2]]);
    assert.deepEqual([group.name, group.consumers, group.pending, group.lastDelivered], [GROUP, 1, 2, ids[1]]);
    // Version 4 of node-redis leaves these out.
    assert.ok(group.read === undefined || (group.read === 2 && group.lag === 1), JSON.stringify(group));
    assert.equal((await client.xinfoStream(stream)).groups, 2);
  },

  async 'stream info: who works in a group'({ connect, key }) {
    const client = await connect();
    const stream = key('message-delivery-stream');
    await openGroup(client, stream);
    assert.deepEqual(await client.xinfoConsumers(stream, GROUP), []);
    const [id] = await addMessages(client, stream, 2);
    await client.xreadgroup(GROUP, 'ann', stream, '>');
    await client.xack(stream, GROUP, id);
    assert.equal(await client.xgroupCreateConsumer(stream, GROUP, 'bob'), 1);
    assert.equal(await client.xgroupCreateConsumer(stream, GROUP, 'bob'), 0);
    await sleep(30);
    const [ann, bob] = await client.xinfoConsumers(stream, GROUP);
    assert.deepEqual([ann.name, ann.pending, bob.name, bob.pending], ['ann', 1, 'bob', 0]);
    assert.ok(ann.idle >= 30 && ann.idle < 5000, `idle for ${ann.idle} ms`);
    // Redis 7.0 does not know yet when somebody was last given a message.
    assert.ok(!(ann.inactive >= 0) || (ann.inactive >= 30 && bob.inactive === -1), JSON.stringify([ann, bob]));
    assert.equal(await client.xgroupDelConsumer(stream, GROUP, 'ann'), 1);
    assert.deepEqual((await client.xinfoConsumers(stream, GROUP)).map((one) => one.name), ['bob']);
    await assert.rejects(client.xinfoConsumers(stream, 'nobody'), /NOGROUP No such consumer group/);
  },
};
