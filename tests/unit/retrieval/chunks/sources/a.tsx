/** A button. */
export const Button = ({ label }: Props) => {
  return <Icon onClick={() => go()}>{label}</Icon>;
};
