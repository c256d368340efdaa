/** What is known of an agent's work of one type: sums that fade, each outcome counting half after a half-life. */
export type Performance = {
  agent: string;
  work_type: string;
  weight: number;
  success_sum: number;
  quality_weight: number;
  quality_sum: number;
  time_weight: number;
  time_ms_sum: number;
  /** Epoch milliseconds: the instant for which the sums hold. */
  observed_at: number;
};
