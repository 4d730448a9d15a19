// What a chat of two Socket.IO nodes does across them: broadcasts, rooms, and calls from one node to the sockets of the other.

import assert from 'node:assert/strict';
import { eventually, sleep } from './harness.mjs';

const LARGE_BYTES = 1 << 20;

/** Long enough for a message to arrive that should not. */
const QUIET_MS = 40;

/** Collects what a browser is sent. */
function seenBy(browser, event = 'message') {
  const seen = [];
  browser.on(event, (...words) => seen.push(words.length === 1 ? words[0] : words));
  return seen;
}

const all = (lists, count) => () => lists.every((seen) => seen.length >= count);

/** The socket that this node has for a browser. */
export const socketOf = (node, browser) => node.of('/').sockets.get(browser.id);

/** Waits until the adapter of this node knows of so many nodes, itself included. */
export async function untilTogether(nodes, namespace = '/') {
  for (const node of nodes) {
    const hears = async () => (await node.of(namespace).adapter.serverCount()) === nodes.length && node.reads();
    await eventually('the nodes hear each other', hears);
  }
}

export const rooms = {
  async 'a broadcast reaches the browsers of both nodes'({ twoNodes }) {
    const [first, second] = await twoNodes();
    const browsers = [await first.browser(), await first.browser(), await second.browser()];
    const seen = browsers.map((browser) => seenBy(browser));
    second.of('/').emit('message', { content: 'Grüße 👋' });
    await eventually('all see it', all(seen, 1));
    // All but the sender's own browser.
    socketOf(first, browsers[0]).broadcast.emit('message', 'from the first');
    await eventually('the others see it', all(seen.slice(1), 2));
    await sleep(QUIET_MS);
    assert.deepEqual(seen.map((messages) => messages.length), [1, 2, 2]);
    assert.deepEqual(seen[0], [{ content: 'Grüße 👋' }]);
  },

  async 'messages keep their order, bytes and size'({ twoNodes }) {
    const [first, second] = await twoNodes();
    const seen = seenBy(await second.browser());
    const bytes = Buffer.alloc(LARGE_BYTES, Buffer.from([0, 13, 10, 255]));
    for (let number = 0; number < 100; number++) first.of('/').emit('message', number);
    first.of('/').emit('message', bytes);
    await eventually('all are seen', all([seen], 101));
    assert.deepEqual(seen.slice(0, 100), Array.from({ length: 100 }, (_, number) => number));
    assert.ok(bytes.equals(Buffer.from(seen[100])));
  },

  async 'a room has members on both nodes'({ twoNodes }) {
    const [first, second] = await twoNodes();
    const [near, far, outside] = [await first.browser(), await second.browser(), await second.browser()];
    const seen = [near, far, outside].map((browser) => seenBy(browser));
    socketOf(first, near).join('chat 1');
    socketOf(second, far).join('chat 1');
    await first.roomIsOpen('chat 1', 2);
    first.of('/').to('chat 1').emit('message', 'from the first');
    second.of('/').to('chat 1').except(far.id).emit('message', 'from the second');
    await eventually('the members see it', () => seen[0].length === 2 && seen[1].length === 1);
    socketOf(second, far).leave('chat 1');
    await first.roomIsOpen('chat 1', 1);
    first.of('/').to('chat 1').emit('message', 'after leaving');
    await eventually('who is left sees it', all(seen.slice(0, 1), 3));
    await sleep(QUIET_MS);
    assert.deepEqual(seen.map((messages) => messages.length), [3, 1, 0]);
  },

  async 'sockets of both nodes are found, moved and ended'({ twoNodes }) {
    const [first, second] = await twoNodes();
    const [near, far] = [await first.browser(), await second.browser()];
    socketOf(second, far).data.user = 'ann';
    const found = await first.of('/').fetchSockets();
    assert.deepEqual(found.map((socket) => socket.id).sort(), [near.id, far.id].sort());
    assert.equal(found.find((socket) => socket.id === far.id).data.user, 'ann');

    const inChat = async () => (await first.of('/').in('chat 1').fetchSockets()).map((socket) => socket.id);
    first.of('/').in(far.id).socketsJoin('chat 1');
    await eventually('the far one is in', async () => (await inChat()).join() === far.id);
    first.of('/').socketsLeave('chat 1');
    await eventually('it is out', async () => (await inChat()).length === 0);

    const ended = new Promise((resolve) => far.once('disconnect', resolve));
    first.of('/').in(far.id).disconnectSockets(true);
    await ended;
    assert.ok(near.connected);
    await eventually('one is left', async () => (await first.of('/').fetchSockets()).length === 1);
  },

  async 'nodes talk to each other'({ twoNodes }) {
    const [first, second] = await twoNodes();
    const heard = [];
    second.of('/').on('ping', (word, reply) => (reply ? reply(`${word} back`) : heard.push(word)));
    first.of('/').serverSideEmit('ping', 'without reply');
    await eventually('the other one hears', () => heard.length === 1);
    assert.deepEqual(heard, ['without reply']);
    assert.deepEqual(await first.of('/').serverSideEmitWithAck('ping', 'there and'), ['there and back']);
  },

  async 'browsers of both nodes acknowledge'({ twoNodes }) {
    const [first, second] = await twoNodes();
    for (const [number, browser] of [await first.browser(), await second.browser()].entries()) {
      browser.on('question', (reply) => reply(number));
    }
    const replies = await first.of('/').timeout(3000).emitWithAck('question');
    assert.deepEqual(replies.sort(), [0, 1]);
  },

  async 'namespaces are apart'({ twoNodes }) {
    const nodes = await twoNodes();
    const [first, second] = nodes;
    for (const node of nodes) node.of('/support');
    await untilTogether(nodes, '/support');
    const [inSupport, outside] = [seenBy(await second.browser('/support')), seenBy(await second.browser())];
    first.of('/support').emit('message', 'for support');
    await eventually('support sees it', all([inSupport], 1));
    await sleep(QUIET_MS);
    assert.deepEqual([inSupport, outside], [['for support'], []]);
  },

  async 'a node that closed is waited for no more'({ twoNodes }) {
    const [first, second] = await twoNodes();
    await second.of('/').adapter.close();
    await untilTogether([first]);
    assert.deepEqual(await first.of('/').serverSideEmitWithAck('ping'), []);
  },

  async 'a restart of the server is survived'({ twoNodes, ownServer }) {
    const server = ownServer();
    const nodes = await twoNodes();
    const [first, second] = nodes;
    const [near, far] = [await first.browser(), await second.browser()];
    const seen = [near, far].map((browser) => seenBy(browser));
    server.kill();
    server.start();
    await untilTogether(nodes);
    first.of('/').emit('message', 'after the restart');
    await eventually('both see it', all(seen, 1));
    assert.equal((await first.of('/').fetchSockets()).length, 2);
  },
};

export const emitter = {
  async 'messages from outside reach browsers, rooms and namespaces'({ twoNodes }) {
    const nodes = await twoNodes();
    const [first, second] = nodes;
    for (const node of nodes) node.of('/support');
    await untilTogether(nodes, '/support');
    const [near, far, inSupport] = [await first.browser(), await second.browser(), await second.browser('/support')];
    const seen = [near, far, inSupport].map((browser) => seenBy(browser));
    socketOf(second, far).join('chat 1');
    const outside = first.emitter();
    outside.emit('message', 'for all');
    outside.to('chat 1').emit('message', Buffer.from([0, 255]));
    outside.except('chat 1').emit('message', 'not for the chat');
    outside.of('/support').emit('message', 'for support');
    await eventually('all see theirs', () => seen[0].length === 2 && seen[1].length === 2 && seen[2].length === 1);
    assert.deepEqual(seen[0], ['for all', 'not for the chat']);
    assert.deepEqual([...new Uint8Array(seen[1][1])], [0, 255]);
    assert.deepEqual(seen[2], ['for support']);
  },

  async 'sockets are moved and ended, and nodes called, from outside'({ twoNodes }) {
    const [first, second] = await twoNodes();
    const [near, far] = [await first.browser(), await second.browser()];
    const heard = [];
    for (const node of [first, second]) node.of('/').on('news', (word) => heard.push(word));
    const outside = first.emitter();
    outside.serverSideEmit('news', 'hello');
    await eventually('both nodes hear', () => heard.length === 2);

    outside.in(far.id).socketsJoin('chat 1');
    await eventually('the far one is in', () => socketOf(second, far).rooms.has('chat 1'));
    outside.socketsLeave('chat 1');
    await eventually('it is out', () => !socketOf(second, far).rooms.has('chat 1'));

    const ended = [near, far].map((browser) => new Promise((resolve) => browser.once('disconnect', resolve)));
    outside.disconnectSockets(true);
    await Promise.all(ended);
  },
};
