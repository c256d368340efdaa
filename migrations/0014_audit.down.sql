-- Who did what is forgotten: export it before.
drop table if exists audit_chains;
drop table if exists audit_events;
drop function if exists keep_audit_event();
drop function if exists new_audit_id();
