drop table if exists task_decisions;
drop table if exists tasks;
drop type if exists task_status;
