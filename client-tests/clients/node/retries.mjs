// Messages whose worker crashed or failed: claimed after some time, given up after some deliveries; and how old ones go.

import assert from 'node:assert/strict';
import { eventually, sleep } from './harness.mjs';
import { addMessages, GROUP, idsOf, messageOf, openGroup } from './delivery.mjs';

const IDLE_MS = 60;

const MOST_DELIVERIES = 3;

const FIRST_PAGE = '0-0';

/** A stream whose messages one worker has read and not acknowledged. */
async function abandoned(tools, count) {
  const client = await tools.connect();
  const stream = tools.key('message-delivery-stream');
  await openGroup(client, stream);
  const ids = await addMessages(client, stream, count);
  await client.xreadgroup(GROUP, 'crashed', stream, '>', { count });
  return { client, stream, ids };
}

/** Claims what has waited for so long, page by page. */
async function claimAll(client, stream, consumer, idleMs, count) {
  const pages = [];
  let from = FIRST_PAGE;
  do {
    const { next, entries } = await client.xautoclaim(stream, GROUP, consumer, idleMs, { from, count });
    pages.push(entries);
    from = next;
  } while (from !== FIRST_PAGE);
  return pages;
}

/** Messages that were delivered too often go to another stream, in one transaction with their acknowledgement. */
async function giveUp(client, stream, deadLetters) {
  const pending = await client.xpendingRange(stream, GROUP);
  const hopeless = pending.filter(({ deliveries }) => deliveries >= MOST_DELIVERIES);
  for (const { id, deliveries } of hopeless) {
    const [{ message }] = await client.xrange(stream, id, id);
    const letter = Object.entries({ ...message, origin: id, deliveries: String(deliveries) }).flat();
    const moved = ['XADD', deadLetters, '*', ...letter];
    const replies = await client.transaction((chain) => client.queueWords(chain, moved, ['XACK', stream, GROUP, id]));
    assert.equal(replies[1], 1);
  }
  return idsOf(hopeless);
}

export const retries = {
  async 'retry: what a crashed worker left is claimed after some time'(tools) {
    const { client, stream, ids } = await abandoned(tools, 5);
    assert.equal(await client.xack(stream, GROUP, ids[0], ids[3]), 2);
    const second = await tools.connect();
    assert.deepEqual((await second.xautoclaim(stream, GROUP, 'second', 60_000)).entries, []);
    await sleep(IDLE_MS);
    const { next, entries } = await second.xautoclaim(stream, GROUP, 'second', IDLE_MS);
    assert.equal(next, FIRST_PAGE);
    assert.deepEqual(entries, [1, 2, 4].map((number) => ({ id: ids[number], message: messageOf(number) })));
    const pending = await client.xpendingRange(stream, GROUP);
    assert.deepEqual(pending.map((one) => [one.id, one.consumer, one.deliveries]), idsOf(entries).map((id) => [id, 'second', 2]));
    assert.deepEqual((await client.xpending(stream, GROUP)).consumers, { second: 3 });
    assert.equal(await second.xack(stream, GROUP, ...idsOf(entries)), 3);
  },

  async 'retry: many are claimed page by page'(tools) {
    const { client, stream, ids } = await abandoned(tools, 25);
    const pages = await claimAll(client, stream, 'second', 0, 10);
    assert.deepEqual(pages.map((page) => page.length), [10, 10, 5]);
    assert.deepEqual(pages.flatMap(idsOf), ids);
  },

  async 'retry: of two who claim each message goes to one'(tools) {
    const { stream, ids } = await abandoned(tools, 40);
    await sleep(IDLE_MS);
    const claimers = [await tools.connect(), await tools.connect()];
    const claimed = await Promise.all(claimers.map((claimer, number) => (
      claimAll(claimer, stream, `claimer ${number}`, IDLE_MS, 7)
    )));
    assert.deepEqual(claimed.flat().flatMap(idsOf).sort(), ids.sort());
  },

  async 'retry: what fails three times becomes a dead letter'(tools) {
    const { client, stream, ids } = await abandoned(tools, 4);
    const deadLetters = tools.key('message-delivery-dead');
    const poison = ids[2];
    for (let attempt = 2; attempt <= MOST_DELIVERIES; attempt++) {
      assert.deepEqual(await giveUp(client, stream, deadLetters), []);
      const { entries } = await client.xautoclaim(stream, GROUP, 'second', 0);
      for (const id of idsOf(entries)) if (id !== poison) await client.xack(stream, GROUP, id);
    }
    const [last] = await client.xpendingRange(stream, GROUP, { idleMs: 0, consumer: 'second' });
    assert.deepEqual([last.id, last.deliveries], [poison, MOST_DELIVERIES]);
    assert.deepEqual(await giveUp(client, stream, deadLetters), [poison]);
    const [{ message }] = await client.xrange(deadLetters, '-', '+');
    assert.deepEqual(message, { ...messageOf(2), origin: poison, deliveries: '3' });
    assert.equal((await client.xpending(stream, GROUP)).count, 0);
  },

  async 'retry: listed by how long they wait, and by who has them'(tools) {
    const { client, stream, ids } = await abandoned(tools, 3);
    await sleep(IDLE_MS);
    const [late] = await addMessages(client, stream, 1);
    await client.xreadgroup(GROUP, 'second', stream, '>');
    const waiting = await client.xpendingRange(stream, GROUP, { idleMs: IDLE_MS });
    assert.deepEqual(idsOf(waiting), ids);
    assert.ok(waiting.every(({ sinceMs }) => sinceMs >= IDLE_MS && sinceMs < 5000), JSON.stringify(waiting));
    assert.deepEqual(idsOf(await client.xpendingRange(stream, GROUP, { count: 2 })), ids.slice(0, 2));
    assert.deepEqual(idsOf(await client.xpendingRange(stream, GROUP, { consumer: 'second' })), [late]);
    assert.deepEqual(await client.xpendingRange(stream, GROUP, { consumer: 'nobody' }), []);
  },

  async 'retry: claimed by id, with a count of its own or with none'(tools) {
    const { client, stream, ids } = await abandoned(tools, 2);
    const deliveries = async () => (await client.xpendingRange(stream, GROUP)).map((one) => one.deliveries);
    assert.deepEqual(await client.xautoclaimIds(stream, GROUP, 'second', 0), ids);
    assert.deepEqual(await deliveries(), [1, 1]);
    assert.deepEqual(await client.xclaim(stream, GROUP, 'third', 60_000, ids), []);
    assert.deepEqual(await client.xclaim(stream, GROUP, 'third', 0, [ids[1]]), [{ id: ids[1], message: messageOf(1) }]);
    await client.xclaim(stream, GROUP, 'third', 0, [ids[0]], { deliveries: 7 });
    assert.deepEqual(await deliveries(), [7, 2]);
  },

  async 'retry: a message that was deleted is given up'(tools) {
    const { client, stream, ids } = await abandoned(tools, 3);
    await client.xdel(stream, ids[1]);
    const { entries, deleted } = await client.xautoclaim(stream, GROUP, 'second', 0);
    assert.deepEqual(idsOf(entries), [ids[0], ids[2]]);
    // Version 4 of node-redis does not tell which.
    assert.ok(deleted === undefined || deleted.join() === ids[1], `${deleted}`);
    assert.equal((await client.xpending(stream, GROUP)).count, 2);
  },

  async 'retry: who is sent away leaves nothing pending'(tools) {
    const { client, stream } = await abandoned(tools, 3);
    assert.equal(await client.xgroupDelConsumer(stream, GROUP, 'crashed'), 3);
    assert.equal((await client.xpending(stream, GROUP)).count, 0);
    assert.equal(await client.xlen(stream), 3);
  },
};

/** Some libraries cannot read an entry that has no message. */
export const goneMessages = {
  async 'retry: who comes back is told what is no longer there'(tools) {
    const { client, stream, ids } = await abandoned(tools, 3);
    assert.equal(await client.xtrim(stream, { by: 'MINID', threshold: ids[1] }), 1);
    assert.deepEqual(await client.xreadgroup(GROUP, 'crashed', stream, '0'), [
      { id: ids[0], message: null }, { id: ids[1], message: messageOf(1) }, { id: ids[2], message: messageOf(2) },
    ]);
  },
};

export const trimming = {
  async 'trimming: about so many stay'({ connect, key }) {
    const client = await connect();
    const stream = key('message-delivery-stream');
    const trim = { by: 'MAXLEN', about: true, threshold: 100 };
    const adding = Array.from({ length: 1000 }, (_, number) => client.xadd(stream, { number: String(number) }, { trim }));
    const ids = await Promise.all(adding);
    const length = await client.xlen(stream);
    assert.ok(length >= 100 && length <= 200, `${length} are left`);
    assert.deepEqual(idsOf(await client.xrange(stream, '-', '+')), ids.slice(-length));
    await client.xtrim(stream, { by: 'MINID', about: true, threshold: ids[999] });
    assert.ok((await client.xlen(stream)) <= 100);
  },

  async 'trimming: exactly so many stay'({ connect, key }) {
    const client = await connect();
    const stream = key('message-delivery-stream');
    const ids = await addMessages(client, stream, 20);
    assert.equal(await client.xtrim(stream, { by: 'MAXLEN', threshold: 8 }), 12);
    assert.equal(await client.xtrim(stream, { by: 'MAXLEN', threshold: 8 }), 0);
    const added = await client.xadd(stream, messageOf(20), { trim: { by: 'MAXLEN', threshold: 2 } });
    assert.deepEqual(idsOf(await client.xrange(stream, '-', '+')), [ids[19], added]);
  },

  async 'trimming: what is older goes'({ connect, key }) {
    const client = await connect();
    const stream = key('message-delivery-stream');
    const old = await addMessages(client, stream, 5);
    const [{ lastId }, since] = [await client.xinfoStream(stream), await milliseconds(client)];
    await eventually('the clock goes on', async () => (await milliseconds(client)) > since);
    const fresh = await addMessages(client, stream, 2);
    assert.equal(lastId, old[4]);
    assert.equal(await client.xtrim(stream, { by: 'MINID', threshold: `${since + 1}` }), 5);
    assert.deepEqual(idsOf(await client.xrange(stream, '-', '+')), fresh);
    const last = await client.xadd(stream, messageOf(7), { trim: { by: 'MINID', threshold: fresh[1] } });
    assert.deepEqual(idsOf(await client.xrange(stream, '-', '+')), [fresh[1], last]);
  },
};

/** The server's time, of which ids are made. */
async function milliseconds(client) {
  const [seconds, microseconds] = await client.command('TIME');
  return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
}
