// A job queue: producers LPUSH ids, workers BRPOP them, and what becomes of a job is a key and a message for whoever watches.

import assert from 'node:assert/strict';
import { eventually, sleep } from './harness.mjs';

const STATUS_SECONDS = 3600;
const LONG_WAIT_SECONDS = 10;

const names = (count, word) => Array.from({ length: count }, (_, number) => `${word} ${number}`);

/** A name for a connection that no other run uses. */
export const nameOf = (word) => `${word}-${Math.random().toString(36).slice(2)}`;

/** Waits until the server says that the connection of this name waits in a blocking command, whose promise `waiting` is. */
export async function untilWaiting(watcher, name, waiting) {
  const listed = eventually(`${name} waits`, async () => {
    const lines = (await watcher.command('CLIENT', 'LIST')).split('\n');
    return lines.some((line) => line.includes(` name=${name} `) && / flags=[A-Za-z]*b/.test(line));
  });
  await Promise.race([listed, waiting.then((popped) => Promise.reject(new Error(`${name} did not wait: ${popped}`)))]);
}

/** Takes jobs until the one that says stop. A worker keeps on when its connection breaks, but not when it is refused. */
export async function work(worker, queue, handle) {
  for (;;) {
    const popped = await worker.brpop([queue], LONG_WAIT_SECONDS).catch((error) => {
      if (/^[A-Z]+ /.test(error.message)) throw error;
      return sleep(25);
    });
    if (!popped) continue;
    if (popped[1] === 'stop') return;
    await handle(popped[1]);
  }
}

async function secondsOf(promise) {
  const started = performance.now();
  await promise;
  return (performance.now() - started) / 1000;
}

/** Reports what becomes of a job: the last status for who asks, and a message for who watches. */
async function report(client, channel, statusKey, update) {
  await client.setFor(statusKey, JSON.stringify(update), STATUS_SECONDS);
  return client.publish(channel, JSON.stringify(update));
}

export const queue = {
  async 'queue: jobs come out in the order they went in'({ connect, key }) {
    const [producer, worker] = [await connect(), await connect()];
    const jobs = key('job_queue');
    assert.equal(await producer.lpush(jobs, 'job 1'), 1);
    assert.equal(await producer.lpush(jobs, 'job 2', 'job 3', 'job 4'), 4);
    assert.equal(await producer.llen(jobs), 4);
    assert.deepEqual(await producer.lrange(jobs, 0, -1), ['job 4', 'job 3', 'job 2', 'job 1']);
    assert.equal(await worker.rpop(jobs), 'job 1');
    assert.deepEqual(await worker.rpop(jobs, 10), ['job 2', 'job 3', 'job 4']);
    assert.equal(await worker.rpop(jobs, 10), null);
    assert.equal(await worker.rpop(jobs), null);
    assert.equal(await producer.llen(jobs), 0);
  },

  async 'queue: what is pushed in front is next, and cleared is cleared'({ connect, key }) {
    const client = await connect();
    const jobs = key('job_queue');
    await client.lpush(jobs, ...names(5, 'job'));
    assert.equal(await client.rpush(jobs, 'again'), 6);
    assert.equal(await client.rpop(jobs), 'again');
    assert.equal(await client.lpop(jobs), 'job 4');
    assert.equal(await client.del(jobs), 1);
    assert.deepEqual(await client.lrange(jobs, 0, -1), []);
    await client.setFor(jobs, 'no list', 60);
    await assert.rejects(client.lpush(jobs, 'job'), /WRONGTYPE/);
  },

  async 'queue: a job is kept until it is done'({ connect, key }) {
    const [producer, first, second] = [await connect(), await connect(), await connect()];
    const [waiting, inWork] = [key('jobs:waiting'), key('jobs:in_work')];
    await producer.lpush(waiting, 'job 1', 'job 2');
    assert.equal(await first.lmove(waiting, inWork, 'RIGHT', 'LEFT'), 'job 1');
    assert.equal(await first.rpoplpush(waiting, inWork), 'job 2');
    assert.equal(await first.rpoplpush(waiting, inWork), null);
    assert.deepEqual(await producer.lrange(inWork, 0, -1), ['job 2', 'job 1']);
    assert.equal(await first.lrem(inWork, 1, 'job 1'), 1);
    assert.equal(await first.lrem(inWork, 1, 'job 1'), 0);
    // The first worker ends with a job unfinished, and the second puts it back where it is next.
    first.drop();
    assert.equal(await second.lmove(inWork, waiting, 'LEFT', 'RIGHT'), 'job 2');
    assert.equal(await second.rpop(waiting), 'job 2');
    assert.equal(await producer.llen(inWork), 0);
  },

  async 'queue: a status is kept for who asks and sent to who watches'({ connect, key }) {
    const [watcher, worker, asker] = [await connect(), await connect(), await connect()];
    const [channel, statusKey] = [key('job_updates'), key('job:status')];
    const seen = [];
    await watcher.subscribe([channel], (message) => seen.push(JSON.parse(message)));
    const updates = ['RUNNING', 'COMPLETED'].map((status) => ({ tenantId: 'tenant 1', jobId: 'job 1', status, error: null }));
    for (const update of updates) assert.equal(await report(worker, channel, statusKey, update), 1);
    await eventually('both updates are seen', () => seen.length === 2);
    assert.deepEqual(seen, updates);
    assert.deepEqual(JSON.parse(await asker.get(statusKey)), updates[1]);
    assert.equal(await asker.ttl(statusKey), STATUS_SECONDS);
  },

  async 'queue: a waiting worker gets the job that comes'({ connect, key }) {
    const name = nameOf('worker');
    const [producer, worker] = [await connect(), await connect({ name })];
    const jobs = key('job_queue');
    const popped = worker.brpop([jobs], LONG_WAIT_SECONDS);
    await untilWaiting(producer, name, popped);
    assert.equal(await producer.lpush(jobs, 'job 1', 'job 2'), 2);
    assert.deepEqual(await popped, [jobs, 'job 1']);
    assert.deepEqual(await worker.blpop([jobs], LONG_WAIT_SECONDS), [jobs, 'job 2']);
    assert.equal(await producer.llen(jobs), 0);
  },

  async 'queue: waiting ends after a fraction of a second'({ connect, key }) {
    const worker = await connect();
    const jobs = key('job_queue');
    const seconds = await secondsOf(worker.brpop([jobs], 0.2).then((popped) => assert.equal(popped, null)));
    assert.ok(seconds > 0.18 && seconds < 1.5, `waited ${seconds} s`);
    assert.equal(await worker.blmove(jobs, jobs, 'RIGHT', 'LEFT', 0.05), null);
    await worker.lpush(jobs, 'job');
    assert.deepEqual(await worker.blpop([jobs], 0.2), [jobs, 'job']);
  },

  async 'queue: urgent jobs come first'({ connect, key }) {
    const name = nameOf('worker');
    const [producer, worker] = [await connect(), await connect({ name })];
    const queues = ['high', 'normal', 'low'].map((priority) => key(`jobs:${priority}`));
    const [high, normal, low] = queues;
    await producer.lpush(low, 'low');
    await producer.lpush(high, 'high 1', 'high 2');
    for (const expected of [[high, 'high 1'], [high, 'high 2'], [low, 'low']]) {
      assert.deepEqual(await worker.brpop(queues, LONG_WAIT_SECONDS), expected);
    }
    const popped = worker.brpop(queues, LONG_WAIT_SECONDS);
    await untilWaiting(producer, name, popped);
    await producer.rpush(normal, 'normal');
    assert.deepEqual(await popped, [normal, 'normal']);
  },

  async 'queue: who waits longest is served first'({ connect, key }) {
    const producer = await connect();
    const jobs = key('job_queue');
    const waiting = [];
    for (let number = 0; number < 3; number++) {
      const name = nameOf('worker');
      const worker = await connect({ name });
      waiting.push(worker.brpop([jobs], LONG_WAIT_SECONDS));
      await untilWaiting(producer, name, waiting.at(-1));
    }
    for (const job of names(3, 'job')) await producer.lpush(jobs, job);
    assert.deepEqual((await Promise.all(waiting)).map(([, job]) => job), names(3, 'job'));
  },

  async 'queue: eight workers do every job once'({ connect, key }) {
    const producers = [await connect(), await connect()];
    const workers = await Promise.all(Array.from({ length: 8 }, () => connect()));
    const jobs = key('job_queue');
    const done = [];
    const working = workers.map((worker) => work(worker, jobs, (job) => done.push(job)));
    await Promise.all(names(200, 'job').map((job, number) => producers[number % 2].lpush(jobs, job)));
    await Promise.race([eventually('all jobs are done', () => done.length >= 200), ...working]);
    await producers[0].lpush(jobs, ...workers.map(() => 'stop'));
    await Promise.all(working);
    assert.deepEqual(done.sort(), names(200, 'job').sort());
    assert.equal(await producers[0].llen(jobs), 0);
  },

  async 'queue: a job on its way to a waiting worker is never nowhere'({ connect, key }) {
    const name = nameOf('worker');
    const [producer, worker] = [await connect(), await connect({ name })];
    const [waiting, inWork] = [key('jobs:waiting'), key('jobs:in_work')];
    const moved = worker.blmove(waiting, inWork, 'RIGHT', 'LEFT', LONG_WAIT_SECONDS);
    await untilWaiting(producer, name, moved);
    await producer.lpush(waiting, 'job');
    assert.equal(await moved, 'job');
    assert.deepEqual(await producer.lrange(inWork, 0, -1), ['job']);
    assert.equal(await producer.llen(waiting), 0);
  },

  async 'queue: what is sent behind a waiting command is answered after it'({ connect, key }) {
    const name = nameOf('worker');
    const [producer, worker] = [await connect(), await connect({ name })];
    const jobs = key('job_queue');
    const popped = worker.brpop([jobs], LONG_WAIT_SECONDS);
    const left = worker.llen(jobs);
    await untilWaiting(producer, name, popped);
    await producer.lpush(jobs, 'job 1', 'job 2', 'job 3');
    assert.deepEqual(await Promise.all([popped, left]), [[jobs, 'job 1'], 2]);
  },

  async 'queue: a worker that left while it waited takes nothing'({ connect, key }) {
    const name = nameOf('worker');
    const [producer, worker] = [await connect(), await connect({ name })];
    const jobs = key('job_queue');
    const waiting = worker.brpop([jobs], LONG_WAIT_SECONDS);
    await untilWaiting(producer, name, waiting);
    worker.drop();
    await eventually('it is gone', async () => !(await producer.command('CLIENT', 'LIST')).includes(` name=${name} `));
    assert.equal(await producer.lpush(jobs, 'job'), 1);
    assert.equal(await producer.llen(jobs), 1);
    const next = await connect();
    assert.deepEqual(await next.brpop([jobs], LONG_WAIT_SECONDS), [jobs, 'job']);
  },

  async 'queue: a waiting worker is called back'({ connect, key }) {
    const name = nameOf('worker');
    const [boss, worker] = [await connect(), await connect({ name })];
    const jobs = key('job_queue');
    const id = String(await worker.command('CLIENT', 'ID'));
    assert.equal(await boss.command('CLIENT', 'UNBLOCK', id), 0);
    const popped = worker.brpop([jobs], LONG_WAIT_SECONDS);
    await untilWaiting(boss, name, popped);
    assert.equal(await boss.command('CLIENT', 'UNBLOCK', id), 1);
    assert.equal(await popped, null);
    const refused = worker.brpop([jobs], LONG_WAIT_SECONDS);
    await untilWaiting(boss, name, refused);
    assert.equal(await boss.command('CLIENT', 'UNBLOCK', id, 'ERROR'), 1);
    await assert.rejects(refused, /UNBLOCKED client unblocked via CLIENT UNBLOCK/);
    assert.equal(await worker.ping(), 'PONG');
  },

  async 'queue: a waiting worker outlives a restart of the server'({ connect, key, ownServer }) {
    const server = ownServer();
    const name = nameOf('worker');
    const [watcher, worker] = [await connect(), await connect({ name, patient: true })];
    const jobs = key('job_queue');
    const done = [];
    const working = work(worker, jobs, (job) => done.push(job));
    await untilWaiting(watcher, name, working);
    server.kill();
    server.start();
    const producer = await connect();
    await producer.lpush(jobs, 'after the restart', 'stop');
    await working;
    assert.deepEqual(done, ['after the restart']);
  },
};

export const resubscription = {
  async 'queue: updates go on after a restart of the server'({ connect, key, ownServer }) {
    const server = ownServer();
    const watcher = await connect({ patient: true });
    const channel = key('job_updates');
    const seen = [];
    await watcher.subscribe([channel], (message) => seen.push(message));
    server.kill();
    server.start();
    const worker = await connect();
    await eventually('somebody watches again', async () => (await worker.publish(channel, 'COMPLETED')) === 1);
    await eventually('the update is seen', () => seen.length > 0);
    assert.deepEqual(seen, ['COMPLETED']);
  },
};
