drop table if exists dispatch_refusals;
