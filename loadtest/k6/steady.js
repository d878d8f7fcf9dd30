// A fixed rate of requests below saturation: latency without the queue that a
// saturated machine builds up.

import * as target from './lib/target.js';
import { get } from './lib/request.js';
import { summary } from './lib/summary.js';

export const options = target.common({
  scenarios: { steady: target.arrivals(target.number('RATE', 500), target.duration('DURATION', '1m')) },
  thresholds: target.thresholds({ dropped_iterations: ['count==0'] }),
});

export default function () {
  get((__ENV.TLS === 'true' ? target.https : target.http) + target.path);
}

export const handleSummary = summary('steady');
