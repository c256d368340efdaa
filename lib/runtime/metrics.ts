// Own, though @aws-lambda-powertools/metrics and aws-embedded-metrics write the same: one line a minute is all there is, and a library
// brings 200 kB, a logger and an environment of its own to these lines.
import type { Fields } from "./log.ts";

/** What a metric counts, as CloudWatch names it. */
export type Metric = { value: number; unit: "Count" | "Seconds" };

/**
 * The fields of a log line of which CloudWatch makes metrics: the embedded metric format
 * (docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html). All metrics have all
 * dimensions, at most 30; `now` is when they were true.
 */
export function embeddedMetrics(
  namespace: string,
  dimensions: Record<string, string>,
  metrics: Record<string, Metric>,
  now: Date,
): Fields {
  const Metrics = Object.entries(metrics).map(([Name, { unit: Unit }]) => ({ Name, Unit }));
  const CloudWatchMetrics = [{ Namespace: namespace, Dimensions: [Object.keys(dimensions)], Metrics }];
  const values = Object.entries(metrics).map(([name, { value }]) => [name, value] as const);
  return { _aws: { Timestamp: now.getTime(), CloudWatchMetrics }, ...dimensions, ...Object.fromEntries(values) };
}
