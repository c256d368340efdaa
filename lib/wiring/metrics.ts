import { embeddedMetrics, type Metric } from "../runtime/metrics.ts";
import type { ControlPlane } from "./control-plane.ts";

/** Writes metrics of this deployment, as CloudWatch and deploy/alarms.yml name them, in a log line of this event. */
export function tellMetrics(
  { log, settings, stamp }: Pick<ControlPlane, "log" | "settings" | "stamp">,
  event: string,
  metrics: Record<string, Metric>,
): void {
  const dimensions = { service: "waybill", stage: settings.log.stage };
  log.metrics(event, embeddedMetrics("Waybill", dimensions, metrics, stamp.now()));
}
