drop table if exists execution_output;
drop table if exists execution_logs;
drop type if exists step_status;
