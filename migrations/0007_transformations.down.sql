drop table if exists agent_transformation_events;
