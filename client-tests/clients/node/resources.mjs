// What redlock has beyond a lock on one key: several keys under one lock, and what it tells of the servers' votes.

import assert from 'node:assert/strict';
import { promisify } from 'node:util';
import { eventually } from './harness.mjs';

const LOCK_MS = 30_000;

const keysOf = (key, ...names) => names.map((name) => key(`account:${name}`));

const valuesOf = (watcher, keys) => watcher.command('MGET', ...keys);

export const resources = {
  async 'several keys are held together, or none'({ onOne, connect, key }) {
    const [first, second, watcher] = [await onOne(), await onOne(), await connect()];
    const [ann, bob, cem] = keysOf(key, 'ann', 'bob', 'cem');
    const lock = await first.acquire([ann, bob], LOCK_MS);
    const [value] = await valuesOf(watcher, [ann]);
    await assert.rejects(second.acquire([cem, bob], LOCK_MS), second.isRefusal);
    assert.deepEqual(await valuesOf(watcher, [ann, bob, cem]), [value, value, null]);
    assert.equal(await first.release(lock), true);
    assert.equal(await second.release(await second.acquire([cem, bob], LOCK_MS)), true);
    assert.deepEqual(await valuesOf(watcher, [ann, bob, cem]), [null, null, null]);
  },

  async 'of several keys one was stolen: nothing is extended, the rest is released'({ onOne, connect, key }) {
    const [holder, thief] = [await onOne(), await connect()];
    const keys = keysOf(key, 'ann', 'bob', 'cem');
    const lock = await holder.acquire(keys, LOCK_MS);
    await thief.command('SET', keys[2], 'mine');
    assert.equal(await holder.extend(lock, 2 * LOCK_MS), false);
    assert.ok((await thief.command('PTTL', keys[0])) <= LOCK_MS);
    assert.equal(await holder.release(lock), false);
    assert.deepEqual(await valuesOf(thief, keys), [null, null, 'mine']);
  },
};

/** Version 4 answers callbacks as well as promises. */
export const callbacks = {
  async 'callbacks are told the lock, or the error and the attempts'({ onOne, key }) {
    const { redlock } = await onOne();
    const name = key('account:callback');
    const lock = await promisify(redlock.lock).call(redlock, name, LOCK_MS);
    const refused = promisify(redlock.lockWithOptions).call(redlock, name, LOCK_MS, { retryCount: 2, retryDelay: 1 });
    await assert.rejects(refused, { attempts: 3, message: /Exceeded 2 attempts to lock the resource/ });
    assert.equal(await promisify(lock.extend).call(lock, 2 * LOCK_MS), lock);
    await promisify(lock.unlock).call(lock);
  },

  async 'what the server says of a script is an event'({ onOne, connect, key }) {
    const [holder, watcher] = [await onOne(), await connect()];
    const [name, seen] = [key('account:list'), []];
    holder.redlock.on('clientError', (error) => seen.push(error.message));
    const lock = await holder.acquire(name, LOCK_MS);
    await watcher.command('DEL', name);
    await watcher.command('RPUSH', name, 'no lock');
    assert.equal(await holder.release(lock), false);
    await eventually('the event', () => seen.some((message) => message.startsWith('WRONGTYPE Operation against a key')));
  },
};

/** Version 5 tells of every attempt which server was for it and which was not. */
export const votes = {
  async 'a refusal has the votes of every attempt'({ onOne, key }) {
    const [first, second] = [await onOne(), await onOne()];
    const keys = keysOf(key, 'ann', 'bob');
    await first.acquire(keys, LOCK_MS);
    const refusal = await second.acquire(keys, LOCK_MS, { attempts: 3, delayMs: 1 }).catch((error) => error);
    const attempts = await Promise.all(refusal.attempts);
    assert.equal(attempts.length, 3);
    for (const { votesAgainst } of attempts) {
      const [error] = votesAgainst.values();
      assert.equal(error.name, 'ResourceLockedError');
      assert.match(error.message, /was applied to: 0 of the 2 requested resources/);
    }
  },

  async 'what the server says of a script is a vote against'({ onOne, connect, key }) {
    const [holder, watcher] = [await onOne(), await connect()];
    const name = key('account:list');
    const { lock } = await holder.acquire(name, LOCK_MS);
    await watcher.command('DEL', name);
    await watcher.command('RPUSH', name, 'no lock');
    const refusal = await lock.release().catch((error) => error);
    const [{ votesAgainst }] = await Promise.all(refusal.attempts);
    const [error] = votesAgainst.values();
    assert.match(error.message, /^WRONGTYPE Operation against a key holding the wrong kind of value/);
  },

  async 'of three servers each has a vote'({ onThree, onEach, key }) {
    const [holder, watchers] = [await onThree(), await onEach()];
    const name = key('account:votes');
    await watchers[1].command('SET', name, 'mine');
    const { lock } = await holder.acquire(name, LOCK_MS);
    const [{ votesFor, votesAgainst, quorumSize, membershipSize }] = await Promise.all(lock.attempts);
    assert.deepEqual([votesFor.size, votesAgainst.size, quorumSize, membershipSize], [2, 1, 2, 3]);
    await lock.release();
  },
};
