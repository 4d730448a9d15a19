// Socket.IO: what connects here is a node of a chat, with an HTTP server, browsers of its own and two connections to the server.

import { createServer } from 'node:http';
import { createAdapter, createShardedAdapter } from '@socket.io/redis-adapter';
import { Emitter } from '@socket.io/redis-emitter';
import { Server } from 'socket.io';
import { io as browse } from 'socket.io-client';
import { eventually, runAll } from './harness.mjs';
import { LIBRARIES, open, withEvery } from './libraries.mjs';
import { emitter, rooms, untilTogether } from './rooms.mjs';

function start({ library, sharded, prefix, ...settings }) {
  const [publishing, subscribing] = [open(library, settings), open(library, settings)];
  const http = createServer();
  const browsers = [];
  let io;
  return {
    connected: async () => {
      await Promise.all([publishing.connected(), subscribing.connected()]);
      const adapter = sharded
        ? createShardedAdapter(publishing.redis, subscribing.redis, { channelPrefix: prefix })
        : createAdapter(publishing.redis, subscribing.redis, { key: prefix, requestsTimeout: 2000 });
      io = new Server(http, { adapter, maxHttpBufferSize: 1e8 });
      await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve));
    },
    of: (namespace) => io.of(namespace),
    emitter: () => new Emitter(publishing.redis, { key: prefix }),
    /** With sharded channels a node hears of a room once its subscription is there. */
    roomIsOpen: async (room, nodes) => {
      if (!sharded) return;
      const channel = `${prefix}#/#${room}#`;
      const listening = async () => (await publishing.command('PUBSUB', 'SHARDNUMSUB', channel))[1] === nodes;
      await eventually(`${nodes} nodes listen to ${room}`, listening);
    },
    browser: async (namespace = '/') => {
      const socket = browse(`http://127.0.0.1:${http.address().port}${namespace}`, { transports: ['websocket'], forceNew: true });
      browsers.push(socket);
      await new Promise((resolve, reject) => socket.once('connect', resolve).once('connect_error', reject));
      return socket;
    },
    drop: () => {
      for (const socket of browsers) socket.disconnect();
      http.close();
      publishing.drop();
      subscribing.drop();
    },
  };
}

/** Every library, with nodes that share channels with nobody else. */
function everyLibrary(kind, sharded) {
  return Object.fromEntries(LIBRARIES.map((library) => [`${kind} on ${library}`, (tools) => nodesOf(tools, library, sharded)]));
}

function nodesOf({ connect, ownServer }, library, sharded) {
  const prefix = `chat-${Math.random().toString(36).slice(2)}`;
  const node = () => connect({ library, sharded, prefix });
  return { ownServer, twoNodes: async () => together(await node(), await node()) };
}

async function together(...nodes) {
  await untilTogether(nodes);
  return nodes;
}

await runAll({ start }, {
  ...withEvery(everyLibrary('adapter', false), rooms),
  ...withEvery(everyLibrary('sharded adapter', true), rooms),
  ...withEvery(everyLibrary('emitter', false), emitter),
});
