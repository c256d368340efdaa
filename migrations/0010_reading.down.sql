drop table if exists decision_keys;
alter table tasks drop column if exists rerun_of;
alter table execution_logs drop column if exists recorded_at;
