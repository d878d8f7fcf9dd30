// Little, then suddenly much, then little again: nothing may fail, and latency
// must come back.

import * as target from './lib/target.js';
import { get } from './lib/request.js';
import { summary } from './lib/summary.js';

const low = target.number('LOW', 50);
const rate = target.number('RATE', 2000);
const rest = target.duration('REST', '20s');

export const options = target.common({
  scenarios: {
    spike: {
      executor: 'ramping-arrival-rate',
      startRate: low,
      timeUnit: '1s',
      preAllocatedVUs: target.number('VUS', 100),
      maxVUs: target.number('MAX_VUS', Math.max(100, rate)),
      stages: [
        { duration: rest, target: low },
        { duration: '1s', target: rate },
        { duration: target.duration('DURATION', '20s'), target: rate },
        { duration: '1s', target: low },
        { duration: rest, target: low },
      ],
    },
  },
  thresholds: target.thresholds({ http_req_duration: [`p(99)<${target.number('MAX_P99', 1000)}`] }),
});

export default function () {
  get(target.http + target.path);
}

export const handleSummary = summary('spike');
