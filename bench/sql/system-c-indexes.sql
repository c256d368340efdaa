-- What the description of system C has beside our indexes: 11, 12 and 11, of which a primary key and a unique one are ours too.
create index on agent_definitions (agent_name);
create index on agent_definitions (updated_at);
create index on agent_definitions (active) where active;
create index on agent_definitions using gin (yaml_config);
create index on agent_definitions using gin (parsed_metadata);
create index on agent_definitions using gin (triggers);
create index on agent_definitions (success_rate desc, quality_score desc, avg_execution_time_ms asc);
create index on agent_definitions (definition_hash);

create index on agent_transformation_events (occurred_at desc);
create index on agent_transformation_events (correlation_id, occurred_at);
create index on agent_transformation_events (session_id, occurred_at);
create index on agent_transformation_events (source_agent, occurred_at);
create index on agent_transformation_events (target_agent, occurred_at);
create index on agent_transformation_events (event_type, occurred_at);
create index on agent_transformation_events (routing_confidence);
create index on agent_transformation_events using gin (context_snapshot);
create index on agent_transformation_events (occurred_at) where error_message is not null;

create index on router_performance_metrics (routed_at desc);
create index on router_performance_metrics (selected_agent, routed_at desc);
create index on router_performance_metrics (strategy, routed_at desc);
create index on router_performance_metrics (confidence_score);
create index on router_performance_metrics (prediction_error);
create index on router_performance_metrics (request_hash);
create index on router_performance_metrics (total_routing_time_us) where total_routing_time_us > 100000;
create index on router_performance_metrics (routed_at) where cache_hit;
create index on router_performance_metrics using gin (alternatives);
create index on router_performance_metrics (routed_at) where feedback_score is not null;
