// More and more requests: where latency bends is what one replica can do. Give
// RATE above that point; the limits then fail where the curve bends.

import * as target from './lib/target.js';
import { get } from './lib/request.js';
import { summary } from './lib/summary.js';

const rate = target.number('RATE', 2000);
const steps = target.number('STEPS', 5);
const step = target.duration('STEP', '30s');

export const options = target.common({
  scenarios: {
    ramp: {
      executor: 'ramping-arrival-rate',
      startRate: 1,
      timeUnit: '1s',
      preAllocatedVUs: target.number('VUS', 50),
      maxVUs: target.number('MAX_VUS', Math.max(50, rate)),
      stages: Array.from({ length: steps }, (_, index) => ({
        duration: step,
        target: Math.ceil((rate * (index + 1)) / steps),
      })),
    },
  },
  thresholds: target.thresholds(),
});

export default function () {
  get((__ENV.TLS === 'true' ? target.https : target.http) + target.path);
}

export const handleSummary = summary('ramp');
