// The end of every script: a short text on standard output, and everything as
// JSON in the file that SUMMARY names.

const MILLISECONDS = { contains: 'time', unit: 'ms' };

/** For `export const handleSummary = summary('name');` */
export function summary(name) {
  return (data) => {
    const outputs = { stdout: text(name, data) };
    const file = __ENV.SUMMARY;
    if (file) outputs[file] = JSON.stringify({ name, metrics: data.metrics, state: data.state }, null, 2) + '\n';
    return outputs;
  };
}

function text(name, data) {
  const lines = [`\n${name}: ${verdict(data)}`];
  const metrics = Object.entries(data.metrics).sort(([a], [b]) => a.localeCompare(b));
  for (const [metric, { type, contains, values, thresholds }] of metrics) {
    const shown = describe(type, contains, values);
    if (shown === null) continue;
    // Parts of others, such as http_req_duration{expected_response:true}.
    if (metric.includes('{') && !thresholds) continue;
    const failed = Object.entries(thresholds || {}).filter(([, { ok }]) => !ok);
    const note = failed.length > 0 ? `   FAILED: ${failed.map(([rule]) => rule).join(', ')}` : '';
    lines.push(`  ${metric.padEnd(30)} ${shown}${note}`);
  }
  return lines.join('\n') + '\n';
}

function verdict(data) {
  const all = Object.values(data.metrics).flatMap(({ thresholds }) => Object.values(thresholds || {}));
  const failed = all.filter(({ ok }) => !ok).length;
  return failed === 0 ? `passed, ${all.length} limits kept` : `FAILED, ${failed} of ${all.length} limits broken`;
}

function describe(type, contains, values) {
  const figure = (value) => (value === undefined ? '-' : value.toFixed(contains === MILLISECONDS.contains ? 2 : 0));
  switch (type) {
    case 'trend': {
      if (values.count === 0) return null;
      const unit = contains === MILLISECONDS.contains ? MILLISECONDS.unit : '';
      const parts = ['med', 'p(90)', 'p(99)', 'max'].map((stat) => `${stat}=${figure(values[stat])}${unit}`);
      return parts.join(' ');
    }
    case 'counter':
      return `${values.count.toFixed(0)} (${values.rate.toFixed(1)}/s)`;
    case 'rate':
      return `${(values.rate * 100).toFixed(3)} % (${values.passes} of ${values.passes + values.fails})`;
    case 'gauge':
      return figure(values.value);
    default:
      return null;
  }
}
