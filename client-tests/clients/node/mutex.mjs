// A lock per conversation, so that two messages of one sender are never handled at once: SET key value EX seconds NX.

import assert from 'node:assert/strict';
import { eventually, sleep } from './harness.mjs';

const LOCK_SECONDS = 30;

/** Releases only what is still ours: the lock may have expired and be somebody else's by now. */
async function release(client, key, value) {
  if ((await client.get(key)) !== value) return false;
  return (await client.del(key)) === 1;
}

export const mutex = {
  async 'mutex: OK for the first, null for the second'({ connect, key }) {
    const [first, second] = [await connect(), await connect()];
    const lock = key('mutex:facebook:sender:recipient');
    assert.equal(await first.lock(lock, 'first', LOCK_SECONDS), 'OK');
    assert.equal(await second.lock(lock, 'second', LOCK_SECONDS), null);
    assert.equal(await second.get(lock), 'first');
  },

  async 'mutex: a fresh lock has its whole time to live'({ connect, key }) {
    const client = await connect();
    const lock = key('mutex:ttl');
    await client.lock(lock, 'v', LOCK_SECONDS);
    assert.equal(await client.ttl(lock), 30);
    const ms = await client.pttl(lock);
    assert.ok(ms > 29_000 && ms <= 30_000, `PTTL ${ms}`);
  },

  async 'mutex: NX before EX means the same'({ connect, key }) {
    const client = await connect();
    const lock = key('mutex:order');
    assert.equal(await client.command('SET', lock, 'v', 'NX', 'EX', '30'), 'OK');
    assert.equal(await client.command('SET', lock, 'w', 'NX', 'EX', '30'), null);
    assert.equal(await client.ttl(lock), 30);
  },

  async 'mutex: released by its owner, kept from a stranger'({ connect, key }) {
    const client = await connect();
    const lock = key('mutex:release');
    await client.lock(lock, 'owner', LOCK_SECONDS);
    assert.equal(await release(client, lock, 'stranger'), false);
    assert.equal(await client.lock(lock, 'early', LOCK_SECONDS), null);
    assert.equal(await release(client, lock, 'owner'), true);
    assert.equal(await release(client, lock, 'owner'), false);
    assert.equal(await client.lock(lock, 'next', LOCK_SECONDS), 'OK');
  },

  async 'mutex: SETNX, then EXPIRE'({ connect, key }) {
    const client = await connect();
    const lock = key('mutex:setnx');
    assert.equal(await client.setnx(lock, 'v'), 1);
    assert.equal(await client.ttl(lock), -1);
    assert.equal(await client.expire(lock, LOCK_SECONDS), 1);
    assert.equal(await client.ttl(lock), 30);
    assert.equal(await client.setnx(lock, 'w'), 0);
    assert.equal(await client.del(lock), 1);
    assert.equal(await client.expire(lock, LOCK_SECONDS), 0);
    assert.equal(await client.ttl(lock), -2);
  },

  async 'mutex: an abandoned lock expires'({ connect, key }) {
    const client = await connect();
    const [inSeconds, inMilliseconds] = [key('mutex:expiry:ex'), key('mutex:expiry:px')];
    assert.equal(await client.lock(inSeconds, 'gone', 1), 'OK');
    assert.equal(await client.lock(inSeconds, 'next', 1), null);
    assert.equal(await client.lockMs(inMilliseconds, 'gone', 400), 'OK');
    assert.equal(await client.lockMs(inMilliseconds, 'next', 400), null);
    await sleep(450);
    assert.equal(await client.get(inMilliseconds), null);
    assert.equal(await client.lockMs(inMilliseconds, 'next', 5000), 'OK');
    await eventually('the lock of one second is free', async () => (await client.lock(inSeconds, 'next', 30)) === 'OK');
  },

  async 'mutex: a holder that comes too late releases nothing'({ connect, key }) {
    const [slow, quick] = [await connect(), await connect()];
    const lock = key('mutex:late');
    await slow.lockMs(lock, 'slow', 50);
    await sleep(80);
    assert.equal(await quick.lock(lock, 'quick', LOCK_SECONDS), 'OK');
    assert.equal(await release(slow, lock, 'slow'), false);
    assert.equal(await slow.get(lock), 'quick');
  },

  async 'mutex: of twenty at once one wins'({ connect, key }) {
    const clients = await Promise.all(Array.from({ length: 20 }, () => connect()));
    const lock = key('mutex:burst');
    const answers = await Promise.all(clients.map((client, number) => client.lock(lock, `${number}`, LOCK_SECONDS)));
    assert.equal(answers.filter((answer) => answer === 'OK').length, 1);
    assert.equal(answers.filter((answer) => answer === null).length, 19);
    assert.equal(await clients[0].get(lock), `${answers.indexOf('OK')}`);
  },

  async 'mutex: never two holders among eight workers'({ connect, key }) {
    const lock = key('mutex:workers');
    let [holders, mostHolders, sections] = [0, 0, 0];
    const section = async (client, value) => {
      await eventually('the lock is mine', async () => (await client.lock(lock, value, LOCK_SECONDS)) === 'OK');
      mostHolders = Math.max(mostHolders, ++holders);
      await sleep(3);
      holders -= 1;
      sections += 1;
      assert.equal(await release(client, lock, value), true);
    };
    const worker = async (number) => {
      const client = await connect();
      for (let round = 0; round < 3; round++) await section(client, `worker ${number} round ${round}`);
    };
    await Promise.all(Array.from({ length: 8 }, (_, number) => worker(number)));
    assert.deepEqual({ mostHolders, sections }, { mostHolders: 1, sections: 24 });
  },

  async 'mutex: a wrong SET is refused and the connection goes on'({ connect, key }) {
    const client = await connect();
    const lock = key('mutex:wrong');
    await assert.rejects(client.command('SET', lock, 'v', 'EX', '0', 'NX'), /invalid expire time in 'set' command/);
    await assert.rejects(client.command('SET', lock, 'v', 'NX', 'XX'), /ERR syntax error/);
    await assert.rejects(client.command('SET', lock, 'v', 'EX', 'soon'), /ERR value is not an integer or out of range/);
    assert.equal(await client.get(lock), null);
    assert.equal(await client.lock(lock, 'v', LOCK_SECONDS), 'OK');
  },
};
