drop table if exists router_performance_metrics;
drop index if exists tasks_undecided_idx;
drop index if exists tasks_concurrency_key_idx;
drop index if exists tasks_ready_key_idx;
drop index if exists tasks_ready_idx;
create index if not exists tasks_ready_idx on tasks (to_agent, priority desc, task_id) include (ready_at) where status = 'approved';
alter table tasks drop constraint if exists tasks_routing_whole;
alter table tasks drop constraint if exists tasks_agent_unless_undecided;
alter table tasks drop column if exists handover;
alter table tasks drop column if exists concurrency_key;
alter table tasks drop column if exists routing;
alter table tasks drop column if exists routed_at;
alter table tasks drop column if exists routing_id;
-- Work that waits for an agent gets the one that its work_type names, as before there was a router.
update tasks set to_agent = split_part(work_type, '.', 1) where to_agent is null;
alter table tasks alter column to_agent set not null;
