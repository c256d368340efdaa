-- What agents and the LLM gateway tell of external models, as much of it as an answer should carry: the first 500 uses, and of all
-- others how many they are and what is known of their tokens and costs. Bounded again, with uses added behind it, it stays right.
create or replace function bounded_ai_use(uses jsonb) returns jsonb language sql immutable parallel safe as $$
  select coalesce(jsonb_agg(entry order by place) filter (where place <= 500), '[]') || case
    when count(*) > 500 then jsonb_build_array(jsonb_build_object(
      'model', '(others)',
      'uses', sum(case when entry ->> 'model' = '(others)' and jsonb_typeof(entry -> 'uses') = 'number' then (entry -> 'uses')::numeric else 1 end)
        filter (where place > 500),
      'tokens', sum(case jsonb_typeof(entry -> 'tokens') when 'number' then (entry -> 'tokens')::numeric end) filter (where place > 500),
      'cost', sum(case jsonb_typeof(entry -> 'cost') when 'number' then (entry -> 'cost')::numeric end) filter (where place > 500),
      'cut', true
    ))
    else '[]'
  end
  from jsonb_array_elements(uses) with ordinality as told (entry, place)
$$;
