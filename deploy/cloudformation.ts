// Words of CloudFormation and IAM.

/** An attribute of a resource, by default its ARN. */
export function attributeOf(resource: string, attribute = "Arn"): object {
  return { "Fn::GetAtt": [resource, attribute] };
}

/** An ARN in this account and region; `rest` begins with the service's name for the thing. */
export function arnHere(service: string, rest: string): object {
  return { "Fn::Sub": `arn:\${AWS::Partition}:${service}:\${AWS::Region}:\${AWS::AccountId}:${rest}` };
}

/** A statement of a policy. */
export function allow(Action: string | string[], Resource: unknown, Condition?: object): object {
  return { Effect: "Allow", Action, Resource, ...(Condition === undefined ? {} : { Condition }) };
}

/** The document of a policy. */
export function policy(Statement: readonly unknown[]): object {
  return { Version: "2012-10-17", Statement };
}
