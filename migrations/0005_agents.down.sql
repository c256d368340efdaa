drop table if exists agent_rate;
drop table if exists agent_performance;
drop table if exists agent_presence;
drop table if exists registry_state;
drop table if exists agent_definitions;
drop function if exists registry_state_advance();
drop function if exists agent_definitions_touch();
