// Account lives in Emmett, as its documentation has it: a decider, a stream for each account, and an inline projection.
//
// A job comes as JSON on the standard input:
//   url          where the empty PostgreSQL database is
//   callers      so many lives are taken at a time, over a pool of as many connections
//   whole        whether the messages of a life are taken in one append; else each in one of its own
//   registered   messages, a list for each account, that are recorded before what is measured
//   warm_up      lives, a list of messages each, that are taken before what is measured
//   lives        lives that are measured
// A message is a line of JSON, which is read when it is taken. What was done is told as one line of JSON on the standard
// output: seconds and CPU seconds of this process for `lives`, how many messages these were, and all rows of what is owed.

import { text } from 'node:stream/consumers';

import { SQL } from '@event-driven-io/dumbo';
import { DeciderCommandHandler, projections } from '@event-driven-io/emmett';
import { getPostgreSQLEventStore, postgreSQLRawBatchSQLProjection } from '@event-driven-io/emmett-postgresql';
import pg from 'pg';

const cents = (amount) => Math.round(Number(amount) * 100);

const opened = (account, claim, amount) => ({
  type: 'ClaimOpened',
  data: { account, claim, amount: (amount / 100).toFixed(2) },
});

// A message's fact, and what is owed by it.
const decide = ({ type, subject, data }, state) => {
  switch (type) {
    case 'voip.account.registered.v1':
      return { type: 'AccountRegistered', data: { account: subject, currency: data.currency } };
    case 'voip.subscription.registered.v1':
      return { type: 'SubscriptionRegistered', data: { subscription: data.subscription_id } };
    case 'voip.cycle.started.v1': {
      const { cycle_id: cycle, starts_on: startsOn, ends_on: endsOn, price } = data;
      return { type: 'CycleStarted', data: { cycle, startsOn, endsOn, price } };
    }
    case 'voip.overcharge.confirmed.v1': {
      const { dispute_id: dispute, charge_id: charge, amount } = data;
      return [
        { type: 'OverchargeConfirmed', data: { dispute, charge, amount } },
        opened(subject, `billing-error/${dispute}`, cents(amount)),
      ];
    }
    case 'voip.cancellation.requested.v1':
      return [
        { type: 'CancellationRequested', data: { requestedAt: data.requested_at } },
        opened(subject, `unused/${state.cycle}`, Math.round((state.price * 21) / 31)),
      ];
    default:
      throw new Error(`no life has a message of type ${type}`);
  }
};

const evolve = (state, { type, data }) => {
  switch (type) {
    case 'CycleStarted':
      return { ...state, cycle: data.cycle, price: cents(data.price) };
    case 'ClaimOpened':
      return { ...state, claims: { ...state.claims, [data.claim]: data.amount } };
    default:
      return state;
  }
};

const initialState = () => ({ cycle: '', price: 0, claims: {} });

// An append's claims in one statement: the projection is handed all events of it.
const owed = postgreSQLRawBatchSQLProjection({
  name: 'owed',
  canHandle: ['ClaimOpened'],
  init: () => SQL`CREATE TABLE IF NOT EXISTS owed (account text, claim text PRIMARY KEY, amount text)`,
  evolve: (events) => {
    const claims = events.filter(({ type }) => type === 'ClaimOpened').map(({ data }) => data);
    return [
      SQL`INSERT INTO owed SELECT * FROM jsonb_to_recordset(${JSON.stringify(claims)}::jsonb)
          AS claims (account text, claim text, amount text)`,
    ];
  },
});

const handle = DeciderCommandHandler({ decide, evolve, initialState });

const take = (store, lines) => {
  const messages = lines.map((line) => JSON.parse(line));
  return handle(store, `account-${messages[0].subject}`, messages);
};

// Each caller takes the next list that is left, until none is.
const takeAll = async (store, lists, { callers, whole }) => {
  const left = lists.values();
  const call = async () => {
    for (const lines of left) {
      for (const part of whole ? [lines] : lines.map((line) => [line])) await take(store, part);
    }
  };
  await Promise.all(Array.from({ length: callers }, call));
};

const job = JSON.parse(await text(process.stdin));
const pool = new pg.Pool({ connectionString: job.url, max: job.callers });
const store = getPostgreSQLEventStore(job.url, {
  projections: projections.inline([owed]),
  connectionOptions: { pooled: true, pool },
});
await store.schema.migrate();
await takeAll(store, job.registered, { callers: job.callers, whole: true });
await takeAll(store, job.warm_up, job);

const cpuBefore = process.cpuUsage();
const began = performance.now();
await takeAll(store, job.lives, job);
const seconds = (performance.now() - began) / 1e3;
const { user, system } = process.cpuUsage(cpuBefore);

const { rows } = await pool.query('SELECT count(*)::int AS count FROM owed');
await pool.end();
console.log(
  JSON.stringify({ seconds, cpu: (user + system) / 1e6, messages: job.lives.flat().length, rows: rows[0].count }),
);
