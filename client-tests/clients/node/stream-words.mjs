// Streams with libraries that take a command's words and give its reply as it came: ioredis, and what is built into Bun.
// What scenarios see is the same as with stream-objects.mjs: entries as `{ id, message }`, and everything else by its name.

export const streamsByWords = (redis) => ({
  ...entriesOf(redis),
  ...groupsOf(redis),
  ...pendingOf(redis),
  ...toldOf(redis),
});

const entriesOf = (redis) => ({
  xadd: (key, message, { id = '*', trim, onlyIfThere } = {}) => (
    redis.xadd(key, ...(onlyIfThere ? ['NOMKSTREAM'] : []), ...trimWords(trim), id, ...Object.entries(message).flat())
  ),
  xlen: (key) => redis.xlen(key),
  xdel: (key, ...ids) => redis.xdel(key, ...ids),
  xtrim: (key, trim) => redis.xtrim(key, ...trimWords(trim)),
  xrange: async (key, from, to, count) => (await redis.xrange(key, from, to, ...countWords(count))).map(entry),
  xrevrange: async (key, from, to, count) => (await redis.xrevrange(key, from, to, ...countWords(count))).map(entry),
  xread: async (key, after, options) => entriesRead(await redis.xread(...readWords(options), 'STREAMS', key, after)),
});

const groupsOf = (redis) => ({
  xgroupCreate: (key, group, from, { withStream } = {}) => (
    redis.xgroup('CREATE', key, group, from, ...(withStream ? ['MKSTREAM'] : []))
  ),
  xgroupDestroy: (key, group) => redis.xgroup('DESTROY', key, group),
  xgroupCreateConsumer: (key, group, consumer) => redis.xgroup('CREATECONSUMER', key, group, consumer),
  xgroupDelConsumer: (key, group, consumer) => redis.xgroup('DELCONSUMER', key, group, consumer),
  xreadgroup: async (group, consumer, key, after, options) => (
    entriesRead(await redis.xreadgroup('GROUP', group, consumer, ...readWords(options), 'STREAMS', key, after))
  ),
  xack: (key, group, ...ids) => redis.xack(key, group, ...ids),
});

const pendingOf = (redis) => ({
  xpending: async (key, group) => {
    const [count, first, last, consumers] = await redis.xpending(key, group);
    return { count, first, last, consumers: Object.fromEntries((consumers ?? []).map(([name, of]) => [name, Number(of)])) };
  },
  xpendingRange: async (key, group, { idleMs, count = 100, consumer } = {}) => {
    const idle = idleMs === undefined ? [] : ['IDLE', String(idleMs)];
    const listed = await redis.xpending(key, group, ...idle, '-', '+', String(count), ...(consumer ? [consumer] : []));
    return listed.map(([id, owner, sinceMs, deliveries]) => ({ id, consumer: owner, sinceMs, deliveries }));
  },
  xclaim: async (key, group, consumer, idleMs, ids, { deliveries } = {}) => {
    const counted = deliveries === undefined ? [] : ['RETRYCOUNT', String(deliveries)];
    return (await redis.xclaim(key, group, consumer, String(idleMs), ...ids, ...counted)).map(entry);
  },
  xautoclaim: async (key, group, consumer, idleMs, { from = '0-0', count = 100 } = {}) => {
    const reply = await redis.xautoclaim(key, group, consumer, String(idleMs), from, 'COUNT', String(count));
    const [next, entries, deleted] = reply;
    return { next, entries: entries.map(entry), deleted };
  },
  xautoclaimIds: async (key, group, consumer, idleMs) => (
    (await redis.xautoclaim(key, group, consumer, String(idleMs), '0-0', 'JUSTID'))[1]
  ),
});

const toldOf = (redis) => ({
  xinfoStream: async (key) => {
    const told = named(await redis.xinfo('STREAM', key));
    return {
      length: told.length, groups: told.groups, added: told['entries-added'], lastId: told['last-generated-id'],
      first: entry(told['first-entry']), last: entry(told['last-entry']),
    };
  },
  xinfoGroups: async (key) => (await redis.xinfo('GROUPS', key)).map(named).map((told) => ({
    name: told.name, consumers: told.consumers, pending: told.pending, lastDelivered: told['last-delivered-id'],
    read: told['entries-read'], lag: told.lag,
  })),
  xinfoConsumers: async (key, group) => (await redis.xinfo('CONSUMERS', key, group)).map(named),
});

const trimWords = (trim) => (trim ? [trim.by, trim.about ? '~' : '=', String(trim.threshold)] : []);

const countWords = (count) => (count === undefined ? [] : ['COUNT', String(count)]);

const readWords = ({ count, blockMs, withoutAck } = {}) => [
  ...countWords(count), ...(blockMs === undefined ? [] : ['BLOCK', String(blockMs)]), ...(withoutAck ? ['NOACK'] : []),
];

/** An entry that was deleted meanwhile has no message. */
const entry = (pair) => pair && { id: pair[0], message: pair[1] && named(pair[1]) };

/** One stream is read at a time: a list of streams with their entries, or a map of them. */
const entriesRead = (reply) => reply && (Array.isArray(reply) ? reply[0][1] : Object.values(reply)[0]).map(entry);

/** A map that may have come as names and values in turn. */
function named(pairs) {
  if (!Array.isArray(pairs)) return { ...pairs };
  return Object.fromEntries(pairs.flatMap((name, at) => (at % 2 === 0 ? [[name, pairs[at + 1]]] : [])));
}
