// Socket.IO: what connects here is a node of a chat, with an HTTP server, browsers of its own and connections to the server.

import { createServer } from 'node:http';
import { createAdapter, createShardedAdapter } from '@socket.io/redis-adapter';
import { Emitter } from '@socket.io/redis-emitter';
import { createAdapter as createStreamsAdapter } from '@socket.io/redis-streams-adapter';
import { Server } from 'socket.io';
import { io as browse } from 'socket.io-client';
import { eventually, runAll } from './harness.mjs';
import { LIBRARIES, open, withEvery } from './libraries.mjs';
import { recovery } from './recovery.mjs';
import { emitter, rooms, untilTogether } from './rooms.mjs';

/** Adapters by their kind; what a chat has in the server begins with its prefix, which is its stream's name, too. */
const ADAPTERS = {
  channels: ({ publishing, subscribing, prefix }) => (
    createAdapter(publishing.redis, subscribing.redis, { key: prefix, requestsTimeout: 2000 })
  ),
  'sharded channels': ({ publishing, subscribing, prefix }) => (
    createShardedAdapter(publishing.redis, subscribing.redis, { channelPrefix: prefix })
  ),
  // It makes the connections that it reads and listens with itself.
  streams: ({ publishing, prefix }) => createStreamsAdapter(publishing.redis, {
    streamName: prefix, channelPrefix: prefix, sessionKeyPrefix: `${prefix}-session:`,
  }),
};

/** Without a kind it is no node but a plain connection, for keys to be removed. */
const start = ({ library = LIBRARIES[0], kind, ...settings }) => (
  kind ? startNode({ library, kind, ...settings }) : open(library, settings)
);

function startNode({ library, kind, prefix, recoverableMs, ...settings }) {
  // The streams adapter's own connections bear the name, too.
  const named = { ...settings, name: `node-${Math.random().toString(36).slice(2)}` };
  const publishing = open(library, named);
  const subscribing = kind === 'streams' ? undefined : open(library, named);
  const http = createServer();
  const browsers = [];
  const namespaces = new Set(['/']);
  let io;
  const namespace = (name) => {
    namespaces.add(name);
    return io.of(name);
  };
  const url = () => `http://127.0.0.1:${http.address().port}`;
  return {
    connected: async () => {
      await Promise.all([publishing.connected(), subscribing?.connected()]);
      const connectionStateRecovery = recoverableMs && { maxDisconnectionDuration: recoverableMs };
      const adapter = ADAPTERS[kind]({ publishing, subscribing, prefix });
      io = new Server(http, { adapter, maxHttpBufferSize: 1e8, connectionStateRecovery });
      await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve));
    },
    of: namespace,
    url,
    stream: prefix,
    command: publishing.command,
    emitter: () => new Emitter(publishing.redis, { key: prefix }),
    /** A node reads the stream from where it is when its first reading begins, and is deaf until then. */
    reads: async () => {
      if (kind !== 'streams') return true;
      const lines = (await publishing.command('CLIENT', 'LIST')).split('\n');
      return lines.some((line) => line.includes(` name=${named.name} `) && / flags=b .* cmd=xread /.test(line));
    },
    /** With sharded channels a node hears of a room once its subscription is there. */
    roomIsOpen: async (room, nodes) => {
      if (kind !== 'sharded channels') return;
      const channel = `${prefix}#/#${room}#`;
      const listening = async () => (await publishing.command('PUBSUB', 'SHARDNUMSUB', channel))[1] === nodes;
      await eventually(`${nodes} nodes listen to ${room}`, listening);
    },
    browser: async (name = '/') => {
      const socket = browse(`${url()}${name}`, { transports: ['websocket'], forceNew: true });
      browsers.push(socket);
      await new Promise((resolve, reject) => socket.once('connect', resolve).once('connect_error', reject));
      return socket;
    },
    drop: () => {
      for (const socket of browsers) socket.disconnect();
      http.close();
      if (kind === 'streams') for (const name of namespaces) io?.of(name).adapter.close();
      publishing.drop();
      subscribing?.drop();
    },
  };
}

/** Every library, with nodes that share channels and streams with nobody else. */
function everyLibrary(title, kind, libraries = LIBRARIES) {
  return Object.fromEntries(libraries.map((library) => [`${title} on ${library}`, (tools) => nodesOf(tools, library, kind)]));
}

function nodesOf({ connect, ownServer, key }, library, kind) {
  const prefix = key('chat');
  const node = (settings) => connect({ library, kind, prefix, ...settings });
  return { ownServer, twoNodes: async (settings) => together(await node(settings), await node(settings)) };
}

async function together(...nodes) {
  await untilTogether(nodes);
  return nodes;
}

await runAll({ start }, {
  ...withEvery(everyLibrary('adapter', 'channels'), rooms),
  ...withEvery(everyLibrary('sharded adapter', 'sharded channels'), rooms),
  ...withEvery(everyLibrary('emitter', 'channels'), emitter),
  ...withEvery(everyLibrary('streams adapter', 'streams'), rooms),
  ...withEvery(everyLibrary('recovery', 'streams'), recovery),
});
