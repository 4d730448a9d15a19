// A service around redlock-universal: work under a lock, imports of which one runs at a time, locks by hand, several keys at once.

import assert from 'node:assert/strict';
import { eventually } from './harness.mjs';

const LOCK_MS = 30_000;
const RETRIES = { retryAttempts: 3, retryDelay: 20 };

class LockService {
  constructor({ createLock }, adapter) {
    this.lockOf = (key, ttl) => createLock({ adapter, key, ttl, ...RETRIES });
  }

  withLock(key, ttl, work) {
    return this.lockOf(key, ttl).using(work);
  }

  /** Null when it is still held after the last attempt. */
  async acquireLock(key, ttl) {
    const lock = this.lockOf(key, ttl);
    try {
      return { lock, handle: await lock.acquire() };
    } catch (error) {
      if (error.code === 'LOCK_ACQUISITION_FAILED') return null;
      throw error;
    }
  }

  releaseLock({ lock, handle }) {
    return lock.release(handle);
  }

  async runImportWithLock(key, work, ttl) {
    const lockData = await this.acquireLock(key, ttl);
    if (!lockData) return { acquired: false, error: 'Import is already running' };
    try {
      return { acquired: true, result: await work() };
    } catch (error) {
      return { acquired: true, error: error.message };
    } finally {
      await this.releaseLock(lockData);
    }
  }
}

const serviceOn = async ({ adapter, redlock }) => new LockService(redlock, await adapter());

/** The package wraps what the server said, once or twice. */
const wholeMessage = (error) => (error ? `${error.message} | ${wholeMessage(error.cause)}` : '');

export const service = {
  async 'withLock gives the result of the work, or its error'(tools) {
    const [service, key] = [await serviceOn(tools), tools.key('my-lock-key')];
    assert.equal(await service.withLock(key, LOCK_MS, async () => 'performed'), 'performed');
    await assert.rejects(service.withLock(key, LOCK_MS, async () => { throw new Error('no operation'); }), /no operation/);
    assert.equal(await service.withLock(key, LOCK_MS, async () => 'again'), 'again');
  },

  async 'of five nodes one runs the import'(tools) {
    const nodes = await Promise.all(Array.from({ length: 5 }, () => serviceOn(tools)));
    const key = tools.key('import:lock:customer-import');
    let [runs, refused] = [0, 0];
    const work = async () => {
      runs += 1;
      await eventually('the others have given up', () => refused === 4);
      return { imported: 2 };
    };
    const outcomes = await Promise.all(nodes.map(async (node) => {
      const outcome = await node.runImportWithLock(key, work, LOCK_MS);
      if (!outcome.acquired) refused += 1;
      return outcome;
    }));
    assert.equal(runs, 1);
    assert.deepEqual(outcomes.filter(({ acquired }) => acquired), [{ acquired: true, result: { imported: 2 } }]);
  },

  async 'an import that failed leaves no lock'(tools) {
    const [service, key] = [await serviceOn(tools), tools.key('import:lock:orders')];
    const fail = async () => { throw new Error('no orders'); };
    assert.deepEqual(await service.runImportWithLock(key, fail, LOCK_MS), { acquired: true, error: 'no orders' });
    assert.deepEqual(await service.runImportWithLock(key, async () => 7, LOCK_MS), { acquired: true, result: 7 });
  },

  async 'by hand: acquired, refused after the last attempt, released'(tools) {
    const [first, second, key] = [await serviceOn(tools), await serviceOn(tools), tools.key('my-lock')];
    const lockData = await first.acquireLock(key, LOCK_MS);
    assert.equal(lockData.handle.metadata.attempts, 1);
    const started = performance.now();
    assert.equal(await second.acquireLock(key, LOCK_MS), null);
    assert.ok(performance.now() - started > 3 * RETRIES.retryDelay - 5);
    assert.equal(await lockData.lock.isLocked(key), true);
    assert.equal(await first.releaseLock(lockData), true);
    assert.equal(await first.releaseLock(lockData), false);
    assert.equal(await lockData.lock.isLocked(key), false);
  },

  async 'what the server says of a script reaches the caller'(tools) {
    const [service, watcher, key] = [await serviceOn(tools), await tools.connect(), tools.key('import:lock:list')];
    const lockData = await service.acquireLock(key, LOCK_MS);
    await watcher.command('DEL', key);
    await watcher.command('RPUSH', key, 'no lock');
    await assert.rejects(service.releaseLock(lockData), (error) => {
      assert.equal(error.code, 'LOCK_RELEASE_FAILED');
      assert.match(wholeMessage(error), /WRONGTYPE Operation against a key holding the wrong kind of value/);
      return true;
    });
  },

  async 'an extension tells whether it was too late, stolen or gone'(tools) {
    const [adapter, key] = [await tools.adapter(), tools.key('import:lock:extension')];
    assert.equal(await adapter.setNX(key, 'holder', 10_000), 'OK');
    const extended = await adapter.atomicExtend(key, 'holder', 2000, LOCK_MS);
    assert.equal(extended.resultCode, 1);
    assert.ok(extended.actualTTL > 9000 && extended.actualTTL <= 10_000, extended.message);
    assert.equal((await adapter.atomicExtend(key, 'holder', LOCK_MS + 1, LOCK_MS)).resultCode, 0);
    const stolen = await adapter.atomicExtend(key, 'stranger', 2000, LOCK_MS);
    assert.match(stolen.message, /lock stolen \((29|30)\d{3}ms remaining\)/);
    assert.equal(await adapter.delIfMatch(key, 'holder'), true);
    const { resultCode, actualTTL } = await adapter.atomicExtend(key, 'holder', 2000, LOCK_MS);
    assert.deepEqual({ resultCode, actualTTL }, { resultCode: -1, actualTTL: -2 });
  },

  async 'a manager counts its locks, a lean lock does without, and a prefix goes before the key'(tools) {
    const { LockManager, createLock } = tools.redlock;
    const [adapter, watcher, key] = [await tools.adapter({ keyPrefix: 'locks:' }), await tools.connect(), tools.key('managed')];
    const manager = new LockManager({ nodes: [adapter], defaultRetryAttempts: 0 });
    const handle = await manager.acquireLock(key, { ttl: LOCK_MS });
    assert.equal(await watcher.command('GET', `locks:${key}`), handle.value);
    const lean = createLock({ adapter, key, performance: 'lean', retryAttempts: 0 });
    await assert.rejects(lean.acquire(), { code: 'LOCK_ACQUISITION_FAILED' });
    assert.equal(await manager.releaseLock(handle), true);
    const { acquiredLocks, activeLocks } = manager.getStats();
    assert.deepEqual({ acquiredLocks, activeLocks }, { acquiredLocks: 1, activeLocks: 0 });
    assert.equal(await lean.release(await lean.acquire()), true);
    assert.deepEqual(await manager.checkHealth(), { healthy: true, nodes: [{ index: 0, healthy: true }] });
  },
};

/** From 0.8 on. */
export const batches = {
  async 'several at once are all held, or none'(tools) {
    const manager = await managerOn(tools);
    const watcher = await tools.connect();
    const keys = ['user:3', 'user:1', 'user:2'].map((name) => tools.key(name));
    const sorted = [...keys].sort();
    const handles = await manager.acquireBatch(keys, { ttl: LOCK_MS });
    assert.deepEqual(handles.map(({ key }) => key), sorted);
    assert.deepEqual(await watcher.command('MGET', ...sorted), handles.map(({ value }) => value));
    assert.ok((await watcher.command('PTTL', sorted[2])) > LOCK_MS - 1000);
    assert.deepEqual(await manager.releaseBatch(handles.slice(0, 2)), [true, true]);
    await assert.rejects(manager.acquireBatch(keys), { key: sorted[2], message: /at index 3 is already locked/ });
    assert.deepEqual(await watcher.command('MGET', ...sorted), [null, null, handles[2].value]);
    assert.deepEqual(await manager.releaseBatch(handles), [false, false, true]);
  },

  async 'several at once, around some work'(tools) {
    const [manager, watcher] = [await managerOn(tools), await tools.connect()];
    const keys = Array.from({ length: 20 }, (_, number) => tools.key(`account:${number}`));
    const held = await manager.usingBatch(keys, () => watcher.command('EXISTS', ...keys), { ttl: LOCK_MS });
    assert.equal(held, 20);
    assert.equal(await watcher.command('EXISTS', ...keys), 0);
  },

  async 'of eight that want two keys each, one has both at a time'(tools) {
    const manager = await managerOn(tools, { defaultRetryAttempts: 1000, defaultRetryDelay: 3 });
    const accounts = ['ann', 'bob', 'cem'].map((name) => tools.key(`account:${name}`));
    const held = new Set();
    const transfer = async (number) => {
      const pair = [accounts[number % 3], accounts[(number + 1) % 3]];
      const handles = await manager.acquireBatch(pair, { ttl: LOCK_MS });
      for (const key of pair) {
        assert.ok(!held.has(key), 'two hold one key');
        held.add(key);
      }
      await new Promise(setImmediate);
      for (const key of pair) held.delete(key);
      assert.deepEqual(await manager.releaseBatch(handles), [true, true]);
    };
    await Promise.all(Array.from({ length: 8 }, (_, number) => transfer(number)));
  },

  async 'a look at a lock tells its value and its time'(tools) {
    const [adapter, key] = [await tools.adapter(), tools.key('inspected')];
    assert.equal(await adapter.inspect(key), null);
    await adapter.setNX(key, 'holder', LOCK_MS);
    const { value, ttl } = await adapter.inspect(key);
    assert.equal(value, 'holder');
    assert.ok(ttl > LOCK_MS - 1000 && ttl <= LOCK_MS, `${ttl}`);
  },
};

async function managerOn({ adapter, redlock }, settings) {
  return new redlock.LockManager({ nodes: [await adapter()], defaultRetryAttempts: 0, ...settings });
}
