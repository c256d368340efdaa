drop table if exists llm_switch;
drop table if exists llm_reservations;
drop table if exists llm_spend;
drop table if exists llm_texts;
drop table if exists llm_calls;
