// A lock that one process holds at a time, by a script that compares before it deletes: one server, or the majority of three.
//
// A lock package comes as a few calls: `acquire(key, ms, retries)` gives a lock or rejects with what `isRefusal` knows,
// `extend(lock, ms)` and `release(lock)` say whether it was still ours, `using(key, ms, work)` holds a lock around some work.

import assert from 'node:assert/strict';
import { eventually, sleep } from './harness.mjs';

const LOCK_MS = 30_000;

const valueOf = (watcher, key) => watcher.command('GET', key);
const msLeft = (watcher, key) => watcher.command('PTTL', key);

async function assertRefused(other, key) {
  await assert.rejects(other.acquire(key, LOCK_MS), other.isRefusal);
}

export const locks = {
  async 'the first holds it, the second is refused, and after the release the next has it'({ onOne, key }) {
    const [first, second] = [await onOne(), await onOne()];
    const name = key('import:lock:customers');
    const lock = await first.acquire(name, LOCK_MS);
    await assertRefused(second, name);
    assert.equal(await first.release(lock), true);
    assert.equal(await second.release(await second.acquire(name, LOCK_MS)), true);
  },

  async 'it has its time to live, and another when it is extended'({ onOne, connect, key }) {
    const [holder, watcher] = [await onOne(), await connect()];
    const name = key('import:lock:ttl');
    const lock = await holder.acquire(name, LOCK_MS);
    const value = await valueOf(watcher, name);
    for (const ms of [LOCK_MS, 2 * LOCK_MS, LOCK_MS / 2]) {
      assert.equal(await holder.extend(lock, ms), true);
      const left = await msLeft(watcher, name);
      assert.ok(left > ms - 1000 && left <= ms, `PTTL ${left} of ${ms}`);
    }
    assert.equal(await valueOf(watcher, name), value);
  },

  async 'who waits has it once it is free'({ onOne, key }) {
    const [first, second] = [await onOne(), await onOne()];
    const name = key('import:lock:waiting');
    const lock = await first.acquire(name, LOCK_MS);
    const waiting = second.acquire(name, LOCK_MS, { attempts: 200, delayMs: 5 });
    assert.equal(await Promise.race([waiting, sleep(30).then(() => 'still held')]), 'still held');
    assert.equal(await first.release(lock), true);
    assert.equal(await second.release(await waiting), true);
  },

  async 'an abandoned one is taken over when it has expired'({ onOne, connect, key }) {
    const [slow, quick, watcher] = [await onOne(), await onOne(), await connect()];
    const name = key('import:lock:abandoned');
    const abandoned = await slow.acquire(name, 100);
    const taken = await quick.acquire(name, LOCK_MS, { attempts: 200, delayMs: 5 });
    const value = await valueOf(watcher, name);
    assert.equal(await slow.extend(abandoned, LOCK_MS), false);
    assert.equal(await slow.release(abandoned), false);
    assert.equal(await valueOf(watcher, name), value);
    assert.equal(await quick.release(taken), true);
  },

  async 'one that somebody took away is neither extended nor released'({ onOne, connect, key }) {
    const [holder, thief] = [await onOne(), await connect()];
    const name = key('import:lock:stolen');
    const lock = await holder.acquire(name, LOCK_MS);
    await thief.command('SET', name, 'mine', 'PX', String(LOCK_MS));
    assert.equal(await holder.extend(lock, 2 * LOCK_MS), false);
    assert.ok((await msLeft(thief, name)) <= LOCK_MS);
    assert.equal(await holder.release(lock), false);
    assert.equal(await valueOf(thief, name), 'mine');
  },

  async 'one that has expired is nobody\'s'({ onOne, connect, key }) {
    const [holder, watcher] = [await onOne(), await connect()];
    const name = key('import:lock:expired');
    const lock = await holder.acquire(name, 100);
    await eventually('it has expired', async () => (await valueOf(watcher, name)) === null);
    assert.equal(await holder.extend(lock, LOCK_MS), false);
    assert.equal(await holder.release(lock), false);
    assert.equal(await valueOf(watcher, name), null);
  },

  async 'of ten at once one holds it'({ onOne, key }) {
    const nodes = await Promise.all(Array.from({ length: 10 }, () => onOne()));
    const name = key('import:lock:burst');
    const outcomes = await Promise.allSettled(nodes.map((node) => node.acquire(name, LOCK_MS)));
    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
    for (const { reason } of outcomes) assert.ok(!reason || nodes[0].isRefusal(reason), reason);
  },

  async 'never two holders among five workers'({ onOne, key }) {
    const name = key('import:lock:workers');
    let [holders, mostHolders, sections] = [0, 0, 0];
    const section = async (node) => {
      const lock = await node.acquire(name, LOCK_MS, { attempts: 1000, delayMs: 3 });
      mostHolders = Math.max(mostHolders, ++holders);
      await sleep(2);
      holders -= 1;
      sections += 1;
      assert.equal(await node.release(lock), true);
    };
    const worker = async () => {
      const node = await onOne();
      for (let round = 0; round < 3; round++) await section(node);
    };
    await Promise.all(Array.from({ length: 5 }, worker));
    assert.deepEqual({ mostHolders, sections }, { mostHolders: 1, sections: 15 });
  },

  async 'the end of the work releases it, and so does an error'({ onOne, connect, key }) {
    const [holder, other, watcher] = [await onOne(), await onOne(), await connect()];
    const name = key('import:lock:work');
    const result = await holder.using(name, LOCK_MS, async () => {
      await assertRefused(other, name);
      return { imported: 3 };
    });
    assert.deepEqual(result, { imported: 3 });
    assert.equal(await valueOf(watcher, name), null);
    await assert.rejects(holder.using(name, LOCK_MS, async () => { throw new Error('no customers'); }), /no customers/);
    assert.equal(await valueOf(watcher, name), null);
  },

  async 'it goes on when the server has forgotten the scripts'({ onOne, connect, key, ownServer }) {
    ownServer();
    const [holder, admin] = [await onOne(), await connect()];
    const name = key('import:lock:flushed');
    for (let round = 0; round < 2; round++) {
      await admin.command('SCRIPT', 'FLUSH');
      const lock = await holder.acquire(name, LOCK_MS);
      await admin.command('SCRIPT', 'FLUSH');
      assert.equal(await holder.extend(lock, LOCK_MS), true);
      await admin.command('SCRIPT', 'FLUSH');
      assert.equal(await holder.release(lock), true);
    }
  },
};

/** For packages that extend a lock by themselves; one that lives for `extendedMs` is extended well before its end. */
export const extendedLocks = {
  async 'it is extended while the work lasts'({ onOne, connect, key }) {
    const [holder, other, watcher] = [await onOne(), await onOne(), await connect()];
    const outlives = (name) => holder.using(name, holder.extendedMs, async (signal) => {
      const value = await valueOf(watcher, name);
      await sleep(holder.extendedMs + 150);
      await assertRefused(other, name);
      assert.equal(await valueOf(watcher, name), value);
      return !signal.aborted;
    });
    // On a busy machine this process itself may be late with an extension.
    await eventually('a lock outlives its first time to live', () => outlives(key('import:lock:long')));
  },

  async 'the work is told when it is lost'({ onOne, connect, key }) {
    const [holder, thief] = [await onOne(), await connect()];
    const name = key('import:lock:lost');
    let told;
    const work = holder.using(name, holder.extendedMs, async (signal) => {
      await thief.command('SET', name, 'mine', 'PX', String(LOCK_MS));
      await eventually('the work is told', () => signal.aborted);
      told = signal.error;
    });
    // That there is nothing to release is an error of its own with one package, and none with the other.
    await work.catch((error) => assert.ok(holder.isRefusal(error), error));
    assert.ok(told instanceof Error, told);
    assert.equal(await valueOf(thief, name), 'mine');
  },
};

export const locksOnThree = {
  async 'three servers: it is on all of them, and released on all'({ onThree, onEach, key }) {
    const [holder, other, watchers] = [await onThree(), await onThree(), await onEach()];
    const name = key('import:lock:three');
    const lock = await holder.acquire(name, LOCK_MS);
    await eventually('it is on all of them', async () => allHold(await valuesOf(watchers, name)));
    const values = await valuesOf(watchers, name);
    await assertRefused(other, name);
    assert.deepEqual(await valuesOf(watchers, name), values);
    assert.equal(await holder.extend(lock, 2 * LOCK_MS), true);
    await eventually('all are extended', async () => (await leftOf(watchers, name)).every((ms) => ms > LOCK_MS));
    assert.equal(await holder.release(lock), true);
    await eventually('it is on none of them', async () => hold(await valuesOf(watchers, name), [null, null, null]));
  },

  async 'three servers: two of them decide'({ onThree, onEach, key }) {
    const [holder, watchers] = [await onThree(), await onEach()];
    const name = key('import:lock:majority');
    await watchers[0].command('SET', name, 'mine');
    const lock = await holder.acquire(name, LOCK_MS);
    assert.equal(await holder.release(lock), true);
    await eventually('the others are free', async () => hold(await valuesOf(watchers, name), ['mine', null, null]));
    await watchers[2].command('SET', name, 'mine');
    await assertRefused(holder, name);
    await eventually('nothing is left behind', async () => hold(await valuesOf(watchers, name), ['mine', null, 'mine']));
  },

  async 'three servers: one is away, then two, then all are back'({ onThree, onEach, key, ownServers }) {
    const servers = ownServers();
    const [holder, other, watchers] = [await onThree(), await onThree(), await onEach()];
    const name = key('import:lock:away');
    const lock = await holder.acquire(name, LOCK_MS);
    servers[2].kill();
    await assertRefused(other, name);
    assert.equal(await holder.extend(lock, LOCK_MS), true);
    assert.equal(await holder.release(lock), true);
    assert.equal(await other.release(await other.acquire(name, LOCK_MS)), true);
    servers[1].kill();
    await assertRefused(holder, name);
    await eventually('nothing is left behind', async () => (await valueOf(watchers[0], name)) === null);
    servers[1].start();
    servers[2].start();
    await eventually('it is on all of them again', () => isOnAll(holder, watchers, name));
  },
};

const valuesOf = (watchers, name) => Promise.all(watchers.map((watcher) => valueOf(watcher, name)));

const leftOf = (watchers, name) => Promise.all(watchers.map((watcher) => msLeft(watcher, name)));

const hold = (values, expected) => values.every((value, number) => value === expected[number]);

const allHold = ([first, ...others]) => first !== null && others.every((value) => value === first);

/** A server that is back may still be unknown to the package's connection, or to the watcher's. */
async function isOnAll(holder, watchers, name) {
  const lock = await holder.acquire(name, LOCK_MS);
  await sleep(10);
  const held = await valuesOf(watchers, name).then(allHold, () => false);
  assert.equal(await holder.release(lock), true);
  return held;
}
