// Streams with node-redis, whose options and replies are its own for every command, and change with its major versions.
// What scenarios see is the same as with stream-words.mjs.

export const streamsByObjects = (redis) => ({
  ...entriesOf(redis),
  ...groupsOf(redis),
  ...pendingOf(redis),
  ...toldOf(redis),
});

const entriesOf = (redis) => ({
  xadd: (key, message, { id = '*', trim, onlyIfThere } = {}) => {
    // From version 5 on this is a call of its own.
    if (onlyIfThere && redis.xAddNoMkStream) return redis.xAddNoMkStream(key, id, message);
    return redis.xAdd(key, id, message, { TRIM: trim && trimOption(trim), NOMKSTREAM: onlyIfThere });
  },
  xlen: (key) => redis.xLen(key),
  xdel: (key, ...ids) => redis.xDel(key, ids),
  xtrim: (key, trim) => {
    const { strategy, threshold, strategyModifier } = trimOption(trim);
    return redis.xTrim(key, strategy, threshold, { strategyModifier });
  },
  xrange: (key, from, to, count) => redis.xRange(key, from, to, { COUNT: count }).then(plain),
  xrevrange: (key, from, to, count) => redis.xRevRange(key, from, to, { COUNT: count }).then(plain),
  xread: async (key, after, options) => entriesRead(await redis.xRead({ key, id: after }, readOptions(options))),
});

const groupsOf = (redis) => ({
  xgroupCreate: (key, group, from, { withStream } = {}) => redis.xGroupCreate(key, group, from, { MKSTREAM: withStream }),
  xgroupDestroy: async (key, group) => Number(await redis.xGroupDestroy(key, group)),
  xgroupCreateConsumer: async (key, group, consumer) => Number(await redis.xGroupCreateConsumer(key, group, consumer)),
  xgroupDelConsumer: (key, group, consumer) => redis.xGroupDelConsumer(key, group, consumer),
  xreadgroup: async (group, consumer, key, after, options) => (
    entriesRead(await redis.xReadGroup(group, consumer, { key, id: after }, readOptions(options)))
  ),
  xack: (key, group, ...ids) => redis.xAck(key, group, ids),
});

const pendingOf = (redis) => ({
  xpending: async (key, group) => {
    const { pending, firstId, lastId, consumers } = await redis.xPending(key, group);
    const counts = (consumers ?? []).map(({ name, deliveriesCounter }) => [name, Number(deliveriesCounter)]);
    return { count: pending, first: firstId, last: lastId, consumers: Object.fromEntries(counts) };
  },
  xpendingRange: async (key, group, { idleMs, count = 100, consumer } = {}) => {
    const listed = await redis.xPendingRange(key, group, '-', '+', count, { IDLE: idleMs, consumer });
    return listed.map((one) => ({
      id: one.id, consumer: one.consumer ?? one.owner,
      sinceMs: one.millisecondsSinceLastDelivery, deliveries: one.deliveriesCounter,
    }));
  },
  xclaim: async (key, group, consumer, idleMs, ids, { deliveries } = {}) => (
    plain(await redis.xClaim(key, group, consumer, idleMs, ids, { RETRYCOUNT: deliveries }))
  ),
  xautoclaim: async (key, group, consumer, idleMs, { from = '0-0', count = 100 } = {}) => {
    const { nextId, messages, deletedMessages } = await redis.xAutoClaim(key, group, consumer, idleMs, from, { COUNT: count });
    return { next: nextId, entries: plain(messages), deleted: deletedMessages };
  },
  xautoclaimIds: async (key, group, consumer, idleMs) => (
    (await redis.xAutoClaimJustId(key, group, consumer, idleMs, '0-0')).messages
  ),
});

const toldOf = (redis) => ({
  xinfoStream: async (key) => {
    const told = await redis.xInfoStream(key);
    return {
      length: told.length, groups: told.groups, added: told['entries-added'],
      lastId: told['last-generated-id'] ?? told.lastGeneratedId,
      first: plainEntry(told['first-entry'] ?? told.firstEntry), last: plainEntry(told['last-entry'] ?? told.lastEntry),
    };
  },
  xinfoGroups: async (key) => (await redis.xInfoGroups(key)).map((told) => ({
    name: told.name, consumers: told.consumers, pending: told.pending,
    lastDelivered: told['last-delivered-id'] ?? told.lastDeliveredId,
    read: told['entries-read'], lag: told.lag,
  })),
  xinfoConsumers: (key, group) => redis.xInfoConsumers(key, group),
});

const trimOption = ({ by, about, threshold }) => ({ strategy: by, strategyModifier: about ? '~' : '=', threshold });

const readOptions = ({ count, blockMs, withoutAck } = {}) => ({ COUNT: count, BLOCK: blockMs, NOACK: withoutAck });

/** One stream is read at a time. */
const entriesRead = (reply) => reply && plain(reply[0].messages);

const plain = (entries) => entries.map(plainEntry);

/** The fields come in an object without a prototype; some versions leave out what is not there. */
const plainEntry = (entry) => (entry ? { id: entry.id, message: { ...entry.message } } : null);
