// Socket.IO's connection state recovery: a browser that comes back, to whichever node, gets what it missed out of the stream.

import assert from 'node:assert/strict';
import { eventually, sleep } from './harness.mjs';
import { socketOf } from './rooms.mjs';

const RECOVERABLE_MS = 5000;

const BRIEFLY_MS = 100;

/** Collects what a browser is sent, without the place in the stream that comes after it. */
function seenBy(browser) {
  const seen = [];
  browser.on('message', (message) => seen.push(message));
  return seen;
}

/** Two nodes, and a browser on the first that has seen a message: from there on it can be told what it missed. */
async function browserOn(twoNodes, recoverableMs = RECOVERABLE_MS) {
  const [first, second] = await twoNodes({ recoverableMs });
  const browser = await first.browser();
  const seen = seenBy(browser);
  first.of('/').emit('message', 'hello');
  await eventually('it sees the first message', () => seen.length === 1);
  return { first, second, browser, seen };
}

/** The browser loses its connection to a node, and comes to another when something has happened meanwhile. */
async function comeBack(browser, from, to, meanwhile = async () => {}) {
  const left = new Promise((resolve) => socketOf(from, browser).once('disconnect', resolve));
  browser.io.reconnection(false);
  browser.io.engine.close();
  await left;
  // What the node writes when somebody leaves is there before this is answered.
  await from.command('PING');
  await meanwhile();
  browser.io.uri = to.url();
  const back = new Promise((resolve, reject) => browser.once('connect', resolve).once('connect_error', reject));
  browser.connect();
  await back;
}

export const recovery = {
  async 'who comes back to the other node gets what it missed'({ twoNodes }) {
    const { first, second, browser, seen } = await browserOn(twoNodes);
    const { id } = browser;
    const missed = ['from the second', { content: 'Grüße 👋' }, Buffer.from([0, 13, 10, 255]), 'from the first'];
    await comeBack(browser, first, second, async () => {
      const witness = seenBy(await first.browser());
      for (const message of missed.slice(0, 3)) second.of('/').emit('message', message);
      await eventually('three are in the stream', () => witness.length === 3);
      first.of('/').emit('message', missed[3]);
      await second.command('PING');
    });
    assert.ok(browser.recovered && socketOf(second, browser).recovered);
    assert.equal(browser.id, id);
    await eventually('it has all', () => seen.length === 5);
    assert.deepEqual(seen.map((message) => (message instanceof Uint8Array ? [...message] : message)), [
      'hello', missed[0], missed[1], [0, 13, 10, 255], missed[3],
    ]);
    first.of('/').emit('message', 'goes on');
    await eventually('it sees what comes next', () => seen.at(-1) === 'goes on');
  },

  async 'its rooms and data come along, and what was for others does not'({ twoNodes }) {
    const { first, second, browser, seen } = await browserOn(twoNodes);
    const socket = socketOf(first, browser);
    socket.join('chat 1');
    socket.data.user = 'ann';
    await comeBack(browser, first, second, async () => {
      const inChat = await second.browser();
      const witness = seenBy(inChat);
      socketOf(second, inChat).join('chat 1');
      second.of('/').to('chat 2').emit('message', 'for another chat');
      second.of('/').except('chat 1').emit('message', 'not for this chat');
      second.of('/').to('chat 1').emit('message', 'for the chat');
      await eventually('it is in the stream', () => witness.length === 1);
    });
    assert.ok(browser.recovered);
    await eventually('it has its own', () => seen.length === 2);
    assert.deepEqual(seen, ['hello', 'for the chat']);
    const here = socketOf(second, browser);
    assert.deepEqual([here.rooms.has('chat 1'), here.data.user], [true, 'ann']);
    first.of('/').to('chat 1').emit('message', 'again');
    await eventually('it is in the room', () => seen.at(-1) === 'again');
  },

  async 'who comes back to the same node misses nothing'({ twoNodes }) {
    const { first, second, browser, seen } = await browserOn(twoNodes);
    await comeBack(browser, first, first, async () => {
      const witness = seenBy(await first.browser());
      second.of('/').emit('message', 'missed');
      await eventually('it is in the stream', () => witness.length === 1);
    });
    assert.ok(browser.recovered);
    await eventually('it has it', () => seen.length === 2);
    assert.deepEqual(seen, ['hello', 'missed']);
  },

  async 'who was away too long begins anew'({ twoNodes }) {
    const { first, second, browser, seen } = await browserOn(twoNodes, BRIEFLY_MS);
    const { id } = browser;
    await comeBack(browser, first, second, () => sleep(2 * BRIEFLY_MS));
    assert.equal(browser.recovered, false);
    assert.notEqual(browser.id, id);
    first.of('/').emit('message', 'anew');
    await eventually('it sees what comes next', () => seen.length === 2);
    assert.deepEqual(seen, ['hello', 'anew']);
  },

  async 'what was trimmed away meanwhile cannot be recovered'({ twoNodes }) {
    const { first, second, browser } = await browserOn(twoNodes);
    await comeBack(browser, first, second, () => second.command('XTRIM', second.stream, 'MAXLEN', '0'));
    assert.equal(browser.recovered, false);
  },
};
