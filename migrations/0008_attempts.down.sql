alter table tasks drop column if exists stopping, drop column if exists ended_by, drop column if exists handed_back;
drop table if exists task_attempts;
