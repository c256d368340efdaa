drop function if exists bounded_ai_use(jsonb);
