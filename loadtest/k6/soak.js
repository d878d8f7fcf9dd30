// Hours of ordinary load, over plain and TLS connections that come and go: for
// leaks. Watch the memory and the open files of the gateway meanwhile
// (process_resident_memory_bytes, process_open_fds).

import * as target from './lib/target.js';
import { get } from './lib/request.js';
import { summary } from './lib/summary.js';

const time = target.duration('DURATION', '2h');
const rate = target.number('RATE', 200);
const secure = __ENV.TLS_ADDRESS !== undefined || __ENV.TLS === 'true';

const scenarios = { plain: { ...target.arrivals(rate, time), exec: 'plain' } };
if (secure) scenarios.tls = { ...target.arrivals(rate, time), exec: 'tls' };

export const options = target.common({
  scenarios,
  // Each client begins anew with every iteration, as browsers do.
  noVUConnectionReuse: true,
  thresholds: target.thresholds(),
});

export function plain() {
  get(target.http + target.path);
}

export function tls() {
  get(target.https + target.path);
}

export const handleSummary = summary('soak');
