/** Work that changes hands, or an agent that takes a part: what work tells the registry of it. */
export type Transformation = {
  eventId: string;
  taskId: string;
  type: "handover" | "sub_role";
  source: string;
  target: string;
  role: string | null;
  reason: string | null;
  context: Record<string, unknown>;
  /** The decision that chose the target. */
  routed: { confidence: number; strategy: string } | null;
  error: string | null;
};
